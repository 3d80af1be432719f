"""What every engine is: a way to get jobs trained."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import ClassVar

from rnnlab.errors import UsageError
from rnnlab.jobs import Hear, Queue


class Engine(ABC):
    """Trains jobs somewhere.

    A killed process or machine is told as `died`, and never takes another job, or the caller, with it.
    """

    name: ClassVar[str]
    here: ClassVar[bool] = True
    """It trains on this machine, with the data files and devices that are here."""

    def __init__(self, workers: int | None = None, address: str | None = None) -> None:
        self.workers, self.address = workers, address
        if address is not None:
            raise UsageError(f"--address is for the engine ray; {self.name} trains on this machine")

    def at_once(self) -> int:
        """How many jobs train at the same time."""
        return self.workers or cores()

    @abstractmethod
    def train(self, jobs: Queue, hear: Hear) -> None:
        """Train every job that the queue hands out, and tell of each what happens, one of `jobs.LAST` last.

        An interruption (KeyboardInterrupt) stops what is running, lets it write its checkpoints, and is raised.
        """


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
