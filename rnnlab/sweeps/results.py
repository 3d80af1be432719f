"""The options of a sweep, the events that it reports, and its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike

from rnnlab.sweeps.jobs import Event, Job
from rnnlab.sweeps.status import SweepStatus


@dataclass(frozen=True)
class SweepOptions:
    """The options of a sweep: how to carry it out."""

    out: str | PathLike[str] = "runs"
    fleets: bool = True
    retry_failed: bool = False
    max_runs: int | None = None
    command: Sequence[str] = ()


@dataclass(frozen=True)
class Failure:
    """A run that failed: its name, why, and the command that repeats it alone."""

    name: str
    why: str
    command: str


@dataclass(frozen=True)
class SweepResult:
    """How many members of a sweep have which status when it ends, no matter which command trained them."""

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
    """Something that happened in a sweep: the event of a job; or `status` and `planned`, the jobs that are to start."""

    event: Event | None = None
    job: Job | None = None
    planned: Sequence[Job] = ()
    status: SweepStatus | None = None


SweepCallback = Callable[[SweepEvent], None]
