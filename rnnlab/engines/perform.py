"""A job, done in this process: what every engine's worker comes down to."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from rnnlab.config import load_config
from rnnlab.errors import RnnlabError, RunExistsError, RunFailedError
from rnnlab.jobs import Event, Hear, Item, Job, mark_failed

if TYPE_CHECKING:
    from rnnlab.starting import Start
    from rnnlab.training import Progress


def perform(job: Job, hear: Hear) -> None:
    """Train the job's runs and tell what happens; what goes wrong is told, an interruption is raised.

    Runs that go on from checkpoints are taken together as far as they have made as many updates.
    """
    from rnnlab.starting import in_words
    from rnnlab.training import Watch, train_fleet

    watch = Watch(
        standing=lambda runs: hear(_standing(job, runs)),
        ended=lambda run, status, why: hear(Event("ended", job.number, why, run=run, status=status)),
        notify=lambda message: hear(Event("said", job.number, message)),
    )
    try:
        for starts in _by_progress(job):
            train_fleet(starts, out=job.out, command=job.command, sweep=job.sweep, watch=watch)
    except RunFailedError as error:
        hear(Event("refused", job.number, str(error)))
    except Exception as error:  # whatever it is, it is this fleet's own, and the others go on
        why = in_words(error)
        # A folder that another process made a moment ago is that one's.
        if len(job.items) == 1 and not isinstance(error, RunExistsError):
            mark_failed(job.items[0], job, why)
        hear(Event("raised", job.number, why))
    else:
        hear(Event("done", job.number))


def _standing(job: Job, runs: list[Progress]) -> Event:
    first, losses = runs[0], tuple(run.loss for run in runs)
    done = Event("standing", job.number, update=first.update, updates=first.updates, losses=losses)
    return Event(**{**done.__dict__, "left": first.seconds_left})


def _by_progress(job: Job) -> list[list[Start]]:
    """The runs by the updates they have made; those that begin come first."""
    groups: dict[int, list[Start]] = defaultdict(list)
    for item in job.items:
        updates, start = _start(item, job.out)
        groups[updates].append(start)
    return [groups[updates] for updates in sorted(groups)]


def _start(item: Item, out: str) -> tuple[int, Start]:
    from rnnlab.recording import read_checkpoint
    from rnnlab.starting import Start

    config = load_config(item.config)
    if not item.again:
        return 0, Start(config, item.name)
    try:
        updates = int(read_checkpoint(item.folder(out).checkpoint)["updates"])
    except (RnnlabError, KeyError):  # killed before its first checkpoint, or one of another version
        return 0, Start(config, item.name, force=True, dead=True)
    return updates, Start(config, item.name, resume=True)
