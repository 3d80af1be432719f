"""The process that trains one job for the engine `local`: it reads the job on stdin and writes events to stdout.

It ends when stdin does: if the driver is killed, its workers write a last checkpoint and end too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import Any

from rnnlab.sweeps.engines.run_job import run_job
from rnnlab.sweeps.jobs import Event, Job


def main() -> None:
    """Train the job on the first line of stdin. Events report how it ended, not the exit code."""
    events = os.dup(1)
    # The output of libraries must not be read as events.
    os.dup2(2, 1)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the driver too, and the driver sends SIGTERM
    job = Job.from_json(sys.stdin.readline())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    _set_threads(int(os.environ.get("RNNLAB_THREADS", "1")))
    with contextlib.suppress(KeyboardInterrupt):
        run_job(job, lambda event: _write(events, event))


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _write(events: int, event: Event) -> None:
    data = memoryview(event.to_json().encode() + b"\n")
    try:
        while data:
            data = data[os.write(events, data) :]
    except BrokenPipeError:  # the driver is gone: stdin ends too, and interrupts the training between two updates
        pass


def _end_with_stdin() -> None:
    # Not through sys.stdin: a thread that waits there would keep its lock when the process ends.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


if __name__ == "__main__":
    main()
