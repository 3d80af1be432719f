"""The engine `inline`: in this process, one fleet after another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rnnlab.errors import UsageError
from rnnlab.sweeps.engines.base import Engine
from rnnlab.sweeps.engines.run_job import run_job
from rnnlab.sweeps.jobs import Event, EventCallback, JobSource


class Inline(Engine):
    """Trains in this process, on all its threads; one that crashes takes the sweep with it.

    >>> import rnnlab
    >>> from rnnlab.sweeps.engines import Inline
    >>> rnnlab.sweep({"base": {"task": "addition"}, "seeds": 3}, engine=Inline(), max_runs=0).left
    3
    """

    name: ClassVar[str] = "inline"

    def __init__(
        self, workers: int | None = None, address: str | None = None, options: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(workers, address, options)
        if workers not in (None, 1):
            raise UsageError("the engine inline trains one fleet at a time; -j is for the other engines")

    def at_once(self) -> int:
        return 1

    def train(self, jobs: JobSource, on_event: EventCallback) -> None:
        while (job := jobs.take()) is not None:
            on_event(Event("started", job.number))
            run_job(job, on_event)
