"""The work of one element of a SLURM job array for the engine `slurm`: it trains a job and appends events to a file.

SLURM sends SIGTERM when somebody cancels an element and when another job preempts it, and submitit has it send SIGUSR2
some time before the element's limit. Either lets the update end and a checkpoint be written. After SIGUSR2 submitit
queues the element again. After a preemption SLURM does, unless the process has ended by itself: so that one waits.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from rnnlab.errors import RnnlabError
from rnnlab.runs.claims import Claims, folder_key
from rnnlab.sweeps.engines.run_job import run_job
from rnnlab.sweeps.jobs import Event, Job, RunSpec

INTERVAL = 0.5
"""Seconds between two messages of progress."""
CANCELLED = "cancelled"
"""A file of this name in the sweep's folder says that the sweep was interrupted."""
_KILLED_AFTER = 600.0
"""Seconds to wait for SLURM's SIGKILL after its SIGTERM; GraceTime and KillWait are shorter."""


def events_of(folder: str | Path, job: int) -> Path:
    """The file that a job's events are appended to, one a line."""
    return Path(folder) / f"events-{job}.jsonl"


class Element:
    """One job, to be trained in an element of a job array; it can be pickled, and submitit calls it there.

    job: as JSON. folder: of the sweep, for events. driver: the process that submitted it (`this_process()`).

    >>> import os
    >>> from rnnlab.provenance import this_process
    >>> from rnnlab.sweeps.engines.slurm_worker import Element, events_of
    >>> from rnnlab.sweeps.jobs import Job
    >>> os.makedirs("runs/.rnnlab/slurm")
    >>> Element(Job(1, (), out="runs").to_json(), "runs/.rnnlab/slurm", this_process())()
    >>> events_of("runs/.rnnlab/slurm", 1).read_text().count("done")
    1
    """

    def __init__(self, job: str, folder: str, driver: Mapping[str, Any]) -> None:
        self.job, self.folder, self.driver = job, folder, driver

    def checkpoint(self) -> Any:
        """What submitit queues again: the same job, whose runs go on from their checkpoints."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def __call__(self) -> None:
        """Train what is unfinished of the job."""
        import torch

        torch.set_num_threads(int(os.environ.get("SLURM_CPUS_PER_TASK") or 1))
        job, folder = Job.from_json(self.job), Path(self.folder)
        with _Events(events_of(folder, job.number)) as events, _signals() as signals:
            events.write(Event("started", job.number))
            try:
                with _claimed(job, self.driver) as runs:
                    run_job(replace(job, runs=runs), events.write)
                return
            except KeyboardInterrupt:
                pass
        if signals.limit:
            signals.queue_again()
        elif not (folder / CANCELLED).exists():
            time.sleep(_KILLED_AFTER)


@contextlib.contextmanager
def _claimed(job: Job, driver: Mapping[str, Any]) -> Iterator[tuple[RunSpec, ...]]:
    """The unfinished runs of the job that no other process trains; while they train, they stay claimed.

    The driver has claimed them. If it is gone, this process claims them in its place, so that the same command started
    again leaves them alone, and an element that waited in the queue meanwhile trains nothing that another sweep has.
    """
    keys = {run.name: {run.identity, folder_key(run.name)} for run in job.runs}
    try:
        with Claims(job.out) as claims:
            free = {name for name, wanted in keys.items() if _may_train(claims, wanted, driver)}
            runs = tuple(run for run in job.unfinished() if run.name in free)
            ended = threading.Event()
            wanted = {key for run in runs for key in keys[run.name]}
            thread = threading.Thread(target=_keep, args=(claims, wanted, ended), daemon=True)
            thread.start()
            try:
                yield runs
            finally:
                ended.set()
                thread.join()
    except RnnlabError:  # a file system without locks: the driver went on without claims too
        yield job.unfinished()


def _may_train(claims: Claims, wanted: set[str], driver: Mapping[str, Any]) -> bool:
    held = claims.holders(wanted)
    if not held:
        return claims.take(wanted) == wanted
    return all(holder.process == driver for holder in held.values())


def _keep(claims: Claims, wanted: set[str], ended: threading.Event, every: float = 5.0) -> None:
    """Claim the runs as soon as the driver does not any more."""
    while not ended.wait(every):
        with contextlib.suppress(RnnlabError):
            claims.take(wanted)


class _Events:
    """Appends events to a file; progress only now and then."""

    def __init__(self, path: Path) -> None:
        self._path, self._sent = path, 0.0

    def __enter__(self) -> _Events:
        self._file = self._path.open("ab", buffering=0)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, event: Event) -> None:
        if event.kind == "progress":
            if time.monotonic() - self._sent < INTERVAL:
                return
            self._sent = time.monotonic()
        # The newline first ends a line that a killed process left half written.
        self._file.write(b"\n" + event.to_json().encode() + b"\n")


class _Signals:
    """Which signal came, and submitit's own handler for that of the time limit."""

    def __init__(self) -> None:
        self.limit = False
        self._handler = signal.getsignal(signal.SIGUSR2)

    def at_limit(self, number: int, frame: FrameType | None) -> None:
        # A training delivers SIGTERM between two updates, and knows nothing of SIGUSR2.
        self.limit = True
        signal.raise_signal(signal.SIGTERM)

    def queue_again(self) -> None:
        """Let submitit queue this element once more, and end this process."""
        if callable(self._handler):
            self._handler(signal.SIGUSR2, None)


@contextlib.contextmanager
def _signals() -> Iterator[_Signals]:
    signals = _Signals()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGUSR2, signals.at_limit)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
