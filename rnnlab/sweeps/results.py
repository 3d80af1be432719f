"""The options of a sweep, the events that it reports, and its result."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Self

from rnnlab.names import check_out
from rnnlab.runs.folder import RunFolder
from rnnlab.sweeps.jobs import Event, Job
from rnnlab.sweeps.status import SweepStatus


@dataclass(frozen=True)
class SweepOptions:
    """The options of a sweep: how to carry it out.

    >>> from rnnlab.sweeps.driver import train_sweep
    >>> from rnnlab.sweeps.file import load_sweep
    >>> from rnnlab.sweeps.results import SweepOptions
    >>> train_sweep(load_sweep({"base": {"task": "addition"}, "seeds": 3}), options=SweepOptions(max_runs=0)).trained
    0
    """

    out: str | PathLike[str] = "runs"
    fleets: bool = True
    retry_failed: bool = False
    max_runs: int | None = None
    command: Sequence[str] = ()
    force_memory: bool = False
    """Train even if there seems to be too little memory."""

    def __post_init__(self) -> None:
        check_out(self.out)


@dataclass(frozen=True)
class Failure:
    """A run that failed: its name, why, and the command that repeats it alone.

    >>> import rnnlab
    >>> from rnnlab.runs.folder import RunFolder
    >>> from rnnlab.sweeps.file import load_sweep
    >>> sweep = {"base": {"task": "addition", "model": {"cell": "gru"}}, "seeds": 1}
    >>> (member,) = load_sweep(sweep).members
    >>> RunFolder.create("runs", member.name, {"identity": member.identity}).finish("failed", "out of memory")
    >>> (failure,) = rnnlab.sweep(sweep).failures
    >>> failure.name, failure.why
    ('gru-T100-s0', 'out of memory')
    """

    name: str
    why: str
    command: str

    @classmethod
    def of(cls, name: str, why: str, out: str | PathLike[str]) -> Self:
        """The failure of a run in the folder `out`."""
        out_option = [] if Path(out) == Path("runs") else ["--out", str(out)]
        config = RunFolder(Path(out) / name).config
        return cls(name, why, shlex.join(["rnnlab", "train", "--config", str(config), *out_option, "--force"]))


@dataclass(frozen=True)
class SweepResult:
    """How many members of a sweep have which status when it ends, no matter which command trained them.

    >>> import rnnlab
    >>> result = rnnlab.sweep({"base": {"task": "addition"}, "seeds": 3}, max_runs=0)
    >>> result.runs, result.trained, result.left
    (3, 0, 3)
    """

    runs: int
    trained: int = 0
    """The runs that this call trained, among those that are done."""
    completed: int = 0
    diverged: int = 0
    elsewhere: int = 0
    """Runs that another process is training."""
    left: int = 0
    """Runs that are not trained because of `max_runs`."""
    dropped: int = 0
    """Runs that an earlier sweep of this name trained and that are not members any more; they stay as they are."""
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class SweepEvent:
    """Something that happened in a sweep: the event of a job; `status` and `planned`, the jobs that are to start; or a
    `message`.

    >>> from rnnlab.sweeps.jobs import Event
    >>> from rnnlab.sweeps.results import SweepEvent
    >>> def on_event(event):
    ...     if event.event is not None and event.event.kind == "run_ended":
    ...         print(event.event.run, event.event.status)
    >>> on_event(SweepEvent(Event("run_ended", job=1, run="lstm-T100-s0", status="completed")))
    lstm-T100-s0 completed
    """

    event: Event | None = None
    job: Job | None = None
    planned: Sequence[Job] = ()
    status: SweepStatus | None = None
    message: str = ""
    """Of the sweep itself, for the user."""


SweepCallback = Callable[[SweepEvent], None]
