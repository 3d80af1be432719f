"""Trains a job in this process, for the workers of all engines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING

from rnnlab.config import load_config
from rnnlab.errors import RnnlabError, RunExistsError, RunFailedError
from rnnlab.plugins import load_installed, load_sent
from rnnlab.sweeps.jobs import Event, EventCallback, Job, RunSpec, mark_failed

if TYPE_CHECKING:
    from rnnlab.training.start import Start


def run_job(job: Job, on_event: EventCallback) -> None:
    """Train the runs of a job, and call `on_event` with what happens. Errors become events; an interruption is raised.

    Runs that resume from checkpoints train together if they have made the same number of updates.
    """
    from rnnlab.training.loop import Callbacks, train_fleet
    from rnnlab.training.start import reason_of

    callbacks = Callbacks(
        on_progress=lambda progress: on_event(Event("progress", job.number, progress=progress)),
        on_run_end=lambda run, status, reason: on_event(Event("run_ended", job.number, reason, run=run, status=status)),
        on_message=lambda message: on_event(Event("message", job.number, message)),
    )
    try:
        load_installed()
        for plugin in job.plugins:
            load_sent(plugin)
        for starts in _by_updates(job, callbacks.on_message):
            train_fleet(starts, out=job.out, command=job.command, sweep=job.sweep, callbacks=callbacks)
    except RunFailedError as error:
        on_event(Event("refused", job.number, str(error)))
    except Exception as error:  # an error of this fleet; the others go on
        reason = reason_of(error)
        # A folder that another process made a moment ago belongs to that process.
        if len(job.runs) == 1 and not isinstance(error, RunExistsError):
            mark_failed(job.runs[0], job, reason)
        on_event(Event("raised", job.number, reason))
    else:
        on_event(Event("done", job.number))


def _by_updates(job: Job, notify: Callable[[str], None]) -> list[list[Start]]:
    """The runs in groups that have made the same number of updates, the fewest first."""
    groups: dict[int, list[Start]] = defaultdict(list)
    for run in job.runs:
        updates, start = _start(run, job.out, notify)
        groups[updates].append(start)
    return [groups[updates] for updates in sorted(groups)]


def _start(run: RunSpec, out: str, notify: Callable[[str], None]) -> tuple[int, Start]:
    from rnnlab.training.checkpoints import last_checkpoint
    from rnnlab.training.start import Start

    config = load_config(run.config)
    if not run.resume:
        return 0, Start(config, run.name)
    folder, anew = run.folder(out), Start(config, run.name, force=True, dead=True)
    if not folder.has_checkpoint:
        return 0, anew
    try:
        state, _ = last_checkpoint(folder)
    except RnnlabError as error:
        notify(f"{str(error).partition('; train it again')[0]}; it begins again from its first update")
        return 0, anew
    return int(state["updates"]), Start(config, run.name, resume=True)
