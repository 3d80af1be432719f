"""The engine `local`: one supervised process a fleet, as many at once as there are workers."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from typing import IO, ClassVar

from rnnlab.machine import cores
from rnnlab.sweeps.engines.base import Engine
from rnnlab.sweeps.jobs import Event, EventCallback, Job, JobSource

_GRACE = 15.0
"""Seconds that an interrupted worker gets for its checkpoints."""
_TAIL = 2000


@dataclass
class _Worker:
    """A process, its job, and its stderr."""

    job: Job
    process: subprocess.Popen[bytes]
    stderr: IO[bytes]
    done: bool = False
    """Its job's final event has come."""

    def exit_reason(self) -> str:
        """How the process ended, with the last line of its stderr."""
        code = self.process.wait()
        self.stderr.seek(max(0, self.stderr.seek(0, os.SEEK_END) - _TAIL))
        lines = self.stderr.read().decode(errors="replace").strip().splitlines()
        how = f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
        hint = "; was there enough memory?" if code == -signal.SIGKILL else ""
        return f"its process ended: {how}{hint}" + (f" ({lines[-1]})" if lines else "")


class Local(Engine):
    """Trains each fleet in a process of its own; the processor's threads are divided among those that run.

    >>> import rnnlab
    >>> from rnnlab.sweeps.engines import Local
    >>> rnnlab.sweep({"base": {"task": "addition"}, "seeds": 3}, engine=Local(workers=2), max_runs=0).left
    3
    """

    name: ClassVar[str] = "local"

    def train(self, jobs: JobSource, on_event: EventCallback) -> None:
        # The event None says that the worker's process has ended.
        events: queue.SimpleQueue[tuple[_Worker, Event | None]] = queue.SimpleQueue()
        running: list[_Worker] = []
        try:
            while True:
                while len(running) < self.at_once() and (job := jobs.take()) is not None:
                    running.append(self._start(job, len(running) + 1 + jobs.waiting(), events))
                    on_event(Event("started", job.number))
                if not running:
                    return
                worker, event = events.get()
                if event is None:
                    running.remove(worker)
                    event = None if worker.done else Event("died", worker.job.number, worker.exit_reason())
                    worker.stderr.close()
                if event is not None:
                    worker.done = worker.done or event.is_final
                    on_event(event)
        finally:
            _stop(running)

    def _start(self, job: Job, jobs: int, events: queue.SimpleQueue[tuple[_Worker, Event | None]]) -> _Worker:
        """A process for the job, with its share of the processor when `jobs` jobs run at once."""
        threads = str(max(1, cores() // min(self.at_once(), jobs)))
        stderr = tempfile.TemporaryFile()  # noqa: SIM115  closed with the worker
        process = subprocess.Popen(
            [sys.executable, "-m", "rnnlab.sweeps.engines.local_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "RNNLAB_THREADS": threads},
            start_new_session=True,
        )
        worker = _Worker(job, process, stderr)
        threading.Thread(target=_read_events, args=(worker, events), daemon=True).start()
        return worker


def _read_events(worker: _Worker, events: queue.SimpleQueue[tuple[_Worker, Event | None]]) -> None:
    """Send the job to the worker, and put its events into the queue until its process ends; then put None."""
    process = worker.process
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(worker.job.to_json().encode() + b"\n")
        process.stdin.flush()
        for line in process.stdout:
            events.put((worker, Event.from_json(line)))
    except (OSError, ValueError):  # it ended in the middle of a line
        pass
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            pipe.close()
    events.put((worker, None))


def _stop(workers: list[_Worker]) -> None:
    """Let the workers write their checkpoints and end; kill those that do not end in time."""
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        try:
            worker.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()
        worker.stderr.close()
