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

from rnnlab.engines.base import Engine, cores
from rnnlab.jobs import LAST, Event, Hear, Job, Queue

_GRACE = 15.0
"""Seconds that an interrupted worker has for its checkpoints."""
_TAIL = 2000


@dataclass
class _Worker:
    """A process, its job, and what it has written to stderr."""

    job: Job
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    last: bool = False
    """It has told how its job ended."""

    def why(self) -> str:
        """In words, why it is gone."""
        code = self.process.wait()
        self.errors.seek(max(0, self.errors.seek(0, os.SEEK_END) - _TAIL))
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        how = f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
        hint = "; was there enough memory?" if code == -signal.SIGKILL else ""
        return f"its process ended: {how}{hint}" + (f" ({lines[-1]})" if lines else "")


class Local(Engine):
    """Trains each fleet in a process of its own; the processor's threads are divided among those that run."""

    name: ClassVar[str] = "local"

    def train(self, jobs: Queue, hear: Hear) -> None:
        self._most = self.workers or cores()
        self._told: queue.SimpleQueue[tuple[_Worker, Event | None]] = queue.SimpleQueue()
        running: list[_Worker] = []
        try:
            while True:
                while len(running) < self._most and (job := jobs.take()) is not None:
                    running.append(self._begin(job, len(running) + 1 + jobs.waiting()))
                    hear(Event("began", job.number))
                if not running:
                    return
                worker, event = self._told.get()
                if event is None:
                    running.remove(worker)
                    event = None if worker.last else Event("died", worker.job.number, worker.why())
                    worker.errors.close()
                if event is not None:
                    worker.last = worker.last or event.kind in LAST
                    hear(event)
        finally:
            _stop(running)

    def _begin(self, job: Job, beside: int) -> _Worker:
        """A process for the job, where `beside` jobs, itself among them, want the processor."""
        threads = str(max(1, cores() // min(self._most, beside)))
        errors = tempfile.TemporaryFile()  # noqa: SIM115  closed with the worker
        process = subprocess.Popen(
            [sys.executable, "-m", "rnnlab.engines.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "RNNLAB_THREADS": threads},
            start_new_session=True,
        )
        worker = _Worker(job, process, errors)
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        return worker

    def _listen(self, worker: _Worker) -> None:
        """Hand on what the worker tells, and at last that it has gone."""
        process = worker.process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(worker.job.to_json().encode() + b"\n")
            process.stdin.flush()
            for line in process.stdout:
                self._told.put((worker, Event.from_json(line)))
        except (OSError, ValueError):  # it went in the middle of a line
            pass
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        self._told.put((worker, None))


def _stop(workers: list[_Worker]) -> None:
    """Let the workers write their checkpoints and end; those that do not are killed."""
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        try:
            worker.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()
        worker.errors.close()
