"""The process that trains one job for the engine `local`: the job comes on stdin, events go out on stdout.

It ends when stdin does: a driver that was killed takes its workers with it, after a last checkpoint.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import Any

from rnnlab.engines.perform import perform
from rnnlab.jobs import Event, Job


def main() -> None:
    """Do the job that stands on stdin's first line; the exit code says nothing that an event has not said."""
    events = os.dup(1)
    # Whatever a library prints is not to be read as an event.
    os.dup2(2, 1)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the driver, which says what is to be done
    job = Job.from_json(sys.stdin.readline())
    threading.Thread(target=_until_the_driver_is_gone, daemon=True).start()
    _use(int(os.environ.get("RNNLAB_THREADS", "1")))
    with contextlib.suppress(KeyboardInterrupt):
        perform(job, lambda event: _tell(events, event))


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _tell(events: int, event: Event) -> None:
    data = memoryview(event.to_json().encode() + b"\n")
    try:
        while data:
            data = data[os.write(events, data) :]
    except BrokenPipeError:  # the driver is gone, and stdin's end will say so between two updates
        pass


def _until_the_driver_is_gone() -> None:
    # Not through sys.stdin: a thread that waits there would keep its lock when the process ends.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _use(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


if __name__ == "__main__":
    main()
