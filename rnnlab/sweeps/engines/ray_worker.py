"""The work of a Ray worker for the engine `ray`: it trains a job, sends its events, and returns how it ended."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rnnlab.runs.folder import RunFolder
from rnnlab.runs.store import stamp_of
from rnnlab.sweeps.jobs import Event, Job

INTERVAL = 0.5
"""Seconds between two looks of the driver at the event queue, and between two messages of a worker to it."""
TIMEOUT = 5.0
"""Seconds to wait for an answer."""

Files = Mapping[str, Mapping[str, bytes]]
"""For each run's name, its files by name."""


@dataclass(frozen=True)
class Report:
    """What a task returns: the job's final event, those of runs that ended, and files for the driver to write."""

    final: Event
    ended: list[Event] = field(default_factory=list)
    files: Files = field(default_factory=dict)


class EventQueue:
    """The actor that collects the events of workers, and the files of those without the driver's disk.

    Its answers tell them whether to stop.

    >>> from rnnlab.sweeps.engines.ray_worker import EventQueue
    >>> queue = EventQueue()
    >>> queue.put(["started"])
    False
    >>> queue.take_all()
    ['started']
    >>> queue.close()
    >>> queue.put([])
    True
    """

    def __init__(self) -> None:
        self._events: list[str] = []
        self._files: dict[int, Files] = {}
        self._closed = False

    def put(self, events: list[str]) -> bool:
        """Add the events; return whether the sweep is being interrupted."""
        self._events += events
        return self._closed

    def take_all(self) -> list[str]:
        """All events since the last call."""
        events, self._events = self._events, []
        return events

    def keep(self, job: int, files: Files) -> None:
        """Keep the files of a job's runs at their last checkpoint, in place of those before."""
        self._files[job] = files

    def kept(self, job: int) -> Files:
        """The files of a job's runs that were kept, for the last time."""
        return self._files.pop(job, {})

    def close(self) -> None:
        """From now on tell every worker to stop."""
        self._closed = True


def work(text: str, token: str, files: Files, cpus: int, events: Any) -> Report:
    """Train a job in a Ray worker: in the driver's folder, or in a temporary one whose files are returned.

    `files` are those of runs that are to be resumed.
    """
    import torch

    torch.set_num_threads(cpus)
    job = Job.from_json(text)
    if Path(token).is_file():
        return _run(job, events)
    with tempfile.TemporaryDirectory(prefix="rnnlab-") as out:
        for name, contents in files.items():
            if contents:
                RunFolder.create_from_files(out, name, contents, force=False)
        folders = [run.folder(out) for run in job.runs]
        report = _run(replace(job, out=out), events, folders)
        return replace(report, files={folder.name: folder.contents() for folder in folders if folder.is_run})


def _run(job: Job, events: Any, folders: Sequence[RunFolder] = ()) -> Report:
    """Train the job. Its events go to the event queue; those that must not be lost go into the report too.

    The files of `folders`, which the driver cannot read, go there with each new checkpoint: a machine that dies takes
    no more than what came after it.
    """
    from rnnlab.sweeps.engines.run_job import run_job

    sender = _Sender(events)
    started = Event("started", job.number)
    final, ended = [started], list[Event]()

    def on_event(event: Event) -> None:
        if event.is_final:
            final.append(event)
            return
        if event.kind == "run_ended":
            ended.append(event)
        sender.send(event)
        sender.keep(job.number, folders)

    sender.send(started)
    with contextlib.suppress(KeyboardInterrupt):
        run_job(job, on_event)
    return Report(final[-1], ended)


class _Sender:
    """Sends a worker's events to the event queue now and then. If the queue is gone, the events are dropped."""

    def __init__(self, queue: Any) -> None:
        self._queue, self._unsent, self._sent = queue, list[str](), 0.0
        self._checkpoints: list[str | None] = []

    def keep(self, job: int, folders: Sequence[RunFolder]) -> None:
        """Send the files of these runs where one has a new checkpoint. Called between two updates."""
        checkpoints = [stamp_of(folder.checkpoint) for folder in folders]
        if self._queue is None or checkpoints == self._checkpoints or not any(checkpoints):
            return
        self._checkpoints = checkpoints
        self._queue.keep.remote(job, {folder.name: folder.contents() for folder in folders if folder.is_run})

    def send(self, event: Event) -> None:
        """Raises KeyboardInterrupt where the answer is that the sweep is being interrupted."""
        import ray

        self._unsent.append(event.to_json())
        if self._queue is None or time.monotonic() - self._sent < INTERVAL:
            return
        try:
            closed = ray.get(self._queue.put.remote(self._unsent), timeout=TIMEOUT)
        except ray.exceptions.RayError:
            self._queue = None
            return
        self._unsent, self._sent = [], time.monotonic()
        if closed:
            raise KeyboardInterrupt
