"""The engine `inline`: in this process, one fleet after another."""

from __future__ import annotations

from typing import ClassVar

from rnnlab.engines.base import Engine
from rnnlab.engines.perform import perform
from rnnlab.jobs import Event, Hear, Queue


class Inline(Engine):
    """Trains in this process, on all its threads; one that crashes takes the sweep with it."""

    name: ClassVar[str] = "inline"

    def train(self, jobs: Queue, hear: Hear) -> None:
        while (job := jobs.take()) is not None:
            hear(Event("began", job.number))
            perform(job, hear)
