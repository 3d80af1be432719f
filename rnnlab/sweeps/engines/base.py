"""The base class of engines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from rnnlab.errors import UsageError
from rnnlab.machine import cores
from rnnlab.parts import first_sentence
from rnnlab.sweeps.jobs import EventCallback, JobSource


class Engine(ABC):
    """Trains jobs somewhere.

    A killed process or machine is reported as `died`. It ends no other job, and not the caller.

    >>> from rnnlab.sweeps.engines import engine_of
    >>> engine = engine_of("local", workers=2)
    >>> engine.name, engine.at_once()
    ('local', 2)
    """

    name: ClassVar[str]
    here: ClassVar[bool] = True
    """It trains on this machine, with the data files and devices that are here."""

    @classmethod
    def key(cls) -> str:
        """Its name in the table of engines."""
        return cls.name

    @classmethod
    def meaning(cls) -> str:
        """The first sentence of the docstring, on one line."""
        return first_sentence(cls)

    takes_options: ClassVar[bool] = False
    """It has options of its own (`--engine-option`)."""

    def __init__(
        self, workers: int | None = None, address: str | None = None, options: Mapping[str, str] | None = None
    ) -> None:
        self.workers, self.address = workers, address
        if options and not self.takes_options:
            raise UsageError(f"--engine-option is for the engine slurm; {self.name} has none")
        if address is not None:
            raise UsageError(f"--address is for the engine ray; {self.name} has none")

    def at_once(self) -> int:
        """How many jobs train at the same time."""
        return self.workers or cores()

    @abstractmethod
    def train(self, jobs: JobSource, on_event: EventCallback) -> None:
        """Train every job of the source, and call `on_event` with the events of each, a final one last.

        A KeyboardInterrupt stops the jobs that are running; they write their checkpoints, and then it is raised.
        """
