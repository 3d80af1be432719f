"""Fleets, and as many at once, as fit into this machine's memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rnnlab.errors import NotEnoughMemoryError
from rnnlab.machine import free_memory
from rnnlab.sweeps.engines import Engine, Inline, Local
from rnnlab.sweeps.packing import PendingRun, fleets_of
from rnnlab.training.memory import forecast_memory
from rnnlab.training.room import refusal, room_for


@dataclass(frozen=True)
class FleetPlan:
    """The fleets of a sweep, the engine that they fit, and the memory that those at once take at their peak.

    >>> FleetPlan.of([], None, together=True).fleets
    []
    """

    fleets: list[list[PendingRun]]
    engine: Engine
    peak: int
    free: int
    message: str = ""
    """For the user, where fewer fleets train at once than there could."""
    refusal: str = ""
    """Why a run is too large for this machine even alone."""

    @classmethod
    def of(cls, pending: Sequence[PendingRun], engine: Engine | None, *, together: bool) -> FleetPlan:
        """Divide runs into fleets that fit, each into its share of what is free.

        The memory of other machines is not known here: for an engine that trains there nothing is changed.
        """
        free, workers = free_memory(), (engine or Local()).at_once()
        fleets = fleets_of(pending, together=together)
        if engine is not None and not engine.here:
            return cls(fleets, engine, _at_once(fleets, workers), free)
        # Divided fleets are more, of which more train at once.
        for shares in range(min(workers, max(1, len(fleets))), workers + 1):
            if _at_once(fleets, workers) > free:
                fleets = fleets_of(pending, together=together, memory=free // shares)
        chosen = engine or _usual(fleets)
        fitting = next(n for n in range(workers, 0, -1) if n == 1 or _at_once(fleets, n) <= free)
        message = ""
        if fitting < min(workers, len(fleets)) and isinstance(chosen, Local):
            chosen = Local(fitting)
            message = f"{fitting} of {workers} fleets train at once, as many as fit into the memory that is free"
        refused = next(filter(None, (_too_large(fleet[0], free) for fleet in fleets)), "")
        return cls(fleets, chosen, _at_once(fleets, chosen.at_once()), free, message, refused)

    def check(self) -> None:
        """Raise NotEnoughMemoryError where a run is too large."""
        if self.refusal:
            raise NotEnoughMemoryError(self.refusal)


def _usual(fleets: Sequence[object]) -> Engine:
    return Local() if len(fleets) > 1 else Inline()


def _at_once(fleets: Sequence[Sequence[PendingRun]], workers: int) -> int:
    """The most that so many of the fleets take at once."""
    peaks = sorted(forecast_memory([run.config for run in fleet]).peak for fleet in fleets)
    return sum(peaks[-workers:])


def _too_large(run: PendingRun, free: int) -> str:
    if forecast_memory([run.config]).peak <= free or (room := room_for(run.config)).is_enough:
        return ""
    return f"{run.spec.name}: {refusal(run.config, room)}"
