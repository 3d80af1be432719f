"""The engine `slurm`: job arrays through submitit, one element a fleet.

The run folders and those in `.rnnlab/slurm` must be on a file system that the nodes share. Elements append their events
to files there, which the driver reads; whether an element is still queued or running it asks squeue, as sacct needs a
database that small clusters do without. An element that neither said how it ended nor is known to squeue has died.
"""

from __future__ import annotations

import contextlib
import getpass
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from rnnlab.errors import DeviceMissingError, UsageError
from rnnlab.interruptions import Interruptions
from rnnlab.provenance import this_process
from rnnlab.runs.folder import bookkeeping
from rnnlab.sweeps.engines.base import Engine
from rnnlab.sweeps.engines.slurm_worker import CANCELLED, INTERVAL, Element, events_of
from rnnlab.sweeps.jobs import Event, EventCallback, Job, JobSource

_GRACE = 60.0
"""Seconds that interrupted elements get for their checkpoints."""
_LARGEST = 1000
"""Elements of one array; SLURM's MaxArraySize is 1,001 where nobody changed it."""
_REQUEUES = 1000
"""How often an element may reach its time limit: each time its runs go on from where they were."""
_OURS = ("array", "error", "job_name", "open_mode", "output", "requeue", "signal")
"""Options of sbatch that the engine sets itself."""
_NUMBERS = {"cpus_per_task", "gpus_per_node", "gpus_per_task", "nodes"}


class Slurm(Engine):
    """Trains each fleet in an element of a SLURM job array, which is queued again after preemption and at its limit.

    options: those of sbatch by name, such as partition, time, mem, gpus_per_node; time is 60 minutes where not given.

    >>> from rnnlab.sweeps.engines import Slurm
    >>> Slurm(workers=8, options={"partition": "gpu", "time": "2:00:00"}).minutes
    120.0
    """

    name: ClassVar[str] = "slurm"
    here: ClassVar[bool] = False
    takes_options: ClassVar[bool] = True

    def __init__(
        self, workers: int | None = None, address: str | None = None, options: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(workers, address, options)
        self.options = {name.replace("-", "_"): value for name, value in (options or {}).items()}
        if ours := sorted(self.options.keys() & set(_OURS)):
            raise UsageError(f"--engine-option {ours[0]}: the engine slurm sets it itself")
        for option in sorted(self.options.keys() & _NUMBERS):
            if not (value := self.options[option]).isdecimal() or not int(value):
                raise UsageError(f"--engine-option {option}={value}: a whole number, at least 1")
        self.minutes = minutes(self.options.pop("time", "60"))

    def at_once(self) -> int:
        return self.workers or _LARGEST

    def train(self, jobs: JobSource, on_event: EventCallback) -> None:
        with _folder(jobs.out()) as folder:
            _Elements(self, folder, on_event).train(jobs)


def minutes(time: str) -> float:
    """A time limit in minutes, written as sbatch takes it: M, M:S, H:M:S, D-H, D-H:M, D-H:M:S. Raises UsageError.

    >>> minutes("90"), minutes("1-0"), minutes("0:30")
    (90.0, 1440.0, 0.5)
    """
    if match := re.fullmatch(r"(\d+)-(\d+)(?::(\d+))?(?::(\d+))?", time):
        days, hours, mins, seconds = (int(part or 0) for part in match.groups())
    elif match := re.fullmatch(r"(?:(\d+):)?(\d+):(\d+)", time):
        days, (hours, mins, seconds) = 0, (int(part or 0) for part in match.groups())
    elif time.isdecimal():
        days, hours, mins, seconds = 0, 0, int(time), 0
    else:
        raise UsageError(f"--engine-option time={time}: a time limit is MINUTES, H:M:S or D-H:M:S")
    limit = 1440 * days + 60 * hours + mins + seconds / 60
    if not limit:
        raise UsageError(f"--engine-option time={time}: a time limit is longer than nothing")
    return limit


class _Elements:
    """The elements that are queued or running, and what was read of their events."""

    def __init__(self, engine: Slurm, folder: Path, on_event: EventCallback) -> None:
        self.engine, self.folder, self.on_event = engine, folder, on_event
        self.running: dict[str, Job] = {}
        """By the id that squeue shows: 12_3."""
        self.read: dict[int, int] = {}
        """Bytes of each job's events that were read."""
        self.started: set[int] = set()
        self.gone: dict[str, float] = {}
        """When squeue was first without an element that had not said how it ended."""
        self.looked = 0.0

    def train(self, jobs: JobSource) -> None:
        try:
            with Interruptions() as interruptions:
                while True:
                    self._submit(jobs)
                    if not self.running:
                        return
                    time.sleep(INTERVAL)
                    self._read_events()
                    self._look()
                    interruptions.deliver()
        except BaseException:
            self._cancel()
            raise

    def _submit(self, jobs: JobSource) -> None:
        taken: list[Job] = []
        while len(taken) < _LARGEST and (job := jobs.take()) is not None:
            taken.append(job)
        if not taken:
            return
        driver = this_process()
        elements = [Element(job.to_json(), str(self.folder), driver) for job in taken]
        submitted = _submitted(self._executor(), elements)
        self.running |= dict(zip(submitted, taken, strict=True))
        self.looked = time.monotonic()

    def _executor(self) -> Any:
        from submitit import SlurmExecutor

        executor = SlurmExecutor(self.folder / "submitit", max_num_timeout=_REQUEUES)
        numbers = {name: int(value) for name, value in self.engine.options.items() if name in _NUMBERS}
        others = {name: value for name, value in self.engine.options.items() if name not in _NUMBERS}
        executor.update_parameters(
            job_name="rnnlab",
            time=max(1, round(self.engine.minutes)),
            # A third of a short limit; minutes are more than an update and a checkpoint take.
            signal_delay_s=int(min(90, 20 * self.engine.minutes)),
            array_parallelism=self.engine.at_once(),
            additional_parameters={"requeue": True, **others},
            **{"cpus_per_task": 1, **numbers},
        )
        return executor

    def _read_events(self) -> None:
        for element, job in list(self.running.items()):
            for event in self._new_events(job):
                self._report(element, event)

    def _new_events(self, job: Job) -> Iterator[Event]:
        """The events on whole lines that were not read before."""
        with contextlib.suppress(FileNotFoundError), events_of(self.folder, job.number).open("rb") as file:
            file.seek(self.read.get(job.number, 0))
            *lines, rest = file.read().split(b"\n")
            self.read[job.number] = file.tell() - len(rest)
            for line in lines:
                with contextlib.suppress(ValueError):  # empty, or what a killed process left
                    yield Event.from_json(line)

    def _report(self, element: str, event: Event) -> None:
        """Report an event; `started` once, whatever is queued again."""
        if event.job not in self.started:
            self.started.add(event.job)
            self.on_event(Event("started", event.job))
        if event.is_final:
            self.running.pop(element, None)
        if event.kind != "started":
            self.on_event(event)

    def _look(self) -> None:
        """Ask squeue now and then, and report the elements that it has not got any more as dead."""
        if time.monotonic() - self.looked < LOOK:
            return
        self.looked = time.monotonic()
        if (known := queued()) is None:
            return
        for element, job in list(self.running.items()):
            if element in known:
                self.gone.pop(element, None)
            # Its last events may need a moment to be seen over a network's file system.
            elif self.looked - self.gone.setdefault(element, self.looked) >= LOOK:
                self._report(element, Event(*self._end_of(element, job)))

    def _end_of(self, element: str, job: Job) -> tuple[Any, int, str]:
        state = state_of(element)
        text = f"SLURM job {element} ended as {state or 'unknown'}{_last_line(self.folder / 'submitit', element)}"
        if state.startswith("CANCELLED"):
            return "refused", job.number, f"{text}: somebody cancelled it"
        return "died", job.number, text

    def _cancel(self) -> None:
        """Cancel all elements, and wait for the checkpoints of those that were running."""
        if not self.running:
            return
        (self.folder / CANCELLED).touch()
        arrays = {element.partition("_")[0] for element in self.running}
        subprocess.run(["scancel", *sorted(arrays)], capture_output=True, check=False)
        until = time.monotonic() + _GRACE
        while time.monotonic() < until:
            known = queued()
            if known is not None and not known & self.running.keys():
                return
            time.sleep(INTERVAL)


LOOK = 15.0
"""Seconds between two calls of squeue."""


def queued() -> set[str] | None:
    """The ids of this user's elements that are queued, running or completing; None where squeue cannot say."""
    done = _call("squeue", "--noheader", "--array", "--format=%i", f"--user={getpass.getuser()}")
    return set(done.split()) if done is not None else None


def state_of(element: str) -> str:
    """The last state that SLURM's controller remembers of an element; empty where it has forgotten."""
    done = _call("scontrol", "show", "job", "--oneliner", element) or ""
    match = re.search(r"\bJobState=(\S+)", done)
    return match[1] if match else ""


def _call(*command: str) -> str | None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def _last_line(folder: Path, element: str) -> str:
    """The last line that an element's process wrote to stderr."""
    for path in sorted(folder.glob(f"{element}_*_log.err")):
        if lines := path.read_text(errors="replace").strip().splitlines():
            return f" ({lines[-1].strip()})"
    return ""


def _submitted(executor: Any, elements: list[Element]) -> list[str]:
    """The ids of the elements, once sbatch has taken them. Raises UsageError with its words where it does not."""
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        if len(elements) == 1:
            return [executor.submit(elements[0]).job_id]
        with executor.batch():
            jobs = [executor.submit(element) for element in elements]
    except (FailedJobError, FailedSubmissionError, OSError) as error:
        words = [line.strip() for line in str(error).splitlines() if "sbatch: error" in line] or [str(error)]
        raise UsageError(
            f"sbatch refused: {'; '.join(word.removeprefix('sbatch: error: ') for word in words)}"
        ) from error
    return [job.job_id for job in jobs]


@contextlib.contextmanager
def _folder(out: str) -> Iterator[Path]:
    """A new folder for this sweep's events and submitit's files; it stays where elements died, for their logs."""
    try:
        import submitit  # noqa: F401
    except ImportError as error:
        raise UsageError("the engine slurm needs the package submitit: pip install 'rnnlab[slurm]'") from error
    for command in ("sbatch", "srun", "squeue", "scancel"):
        if shutil.which(command) is None:
            raise DeviceMissingError(f"the engine slurm needs SLURM's commands, and there is no {command} here")
    root = bookkeeping(out) / "slurm"
    folder = root / f"{time.strftime('%Y%m%d-%H%M%S')}-{time.monotonic_ns() % 10**6:06d}"
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
