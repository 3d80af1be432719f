"""Schedules: at which updates the probes measure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeInt, PositiveInt

from rnnlab.parts import Part, Table, table


class Schedule(Part):
    """A rule for the updates at which something is measured; update 0 is the first, before any weight has moved."""

    def due(self, update: int, updates: int | None = None) -> bool:
        """Whether the update with this number, counted from 0, is measured in a run of `updates` updates."""
        raise NotImplementedError

    def due_updates(self, updates: int) -> Sequence[int]:
        """The updates that are measured in a run of `updates` updates, ascending.

        This calls `due` for each update. A schedule that knows its updates returns them directly, and a regular one
        returns a `range`, which takes no memory.
        """
        return [update for update in range(updates) if self.due(update, updates)]

    def first(self) -> int:
        """The first update that is measured."""
        return 0


class Every(Schedule):
    """Every n-th update, from update 0.

    >>> list(Every(n=10).due_updates(35))
    [0, 10, 20, 30]
    """

    name: Literal["every"] = "every"
    n: PositiveInt = Field(default=1, description="Updates between two measurements.")

    def due(self, update: int, updates: int | None = None) -> bool:
        return update % self.n == 0

    def due_updates(self, updates: int) -> Sequence[int]:
        return range(0, updates, self.n)


class Log(Schedule):
    """Updates spaced logarithmically: every one at first, then `per_decade` in each factor of ten, and the last.

    >>> Log(per_decade=2).due_updates(1001)
    [0, 1, 4, 10, 32, 100, 317, 1000]
    """

    name: Literal["log"] = "log"
    per_decade: PositiveInt = Field(default=40, description="Measurements in each factor of ten of updates.")

    def due(self, update: int, updates: int | None = None) -> bool:
        return update in (0, (updates or 0) - 1) or self._slot(update) != self._slot(update - 1)

    def due_updates(self, updates: int) -> Sequence[int]:
        """From slot to slot, at most `per_decade` of them in each factor of ten."""
        due, update, last = [], 0, updates - 1
        while update < last:
            due.append(update)
            update = self._after(update)
        return [*due, last] if updates else due

    def _after(self, update: int) -> int:
        """The first update of the next slot that has any."""
        slot = self._slot(update)
        # Where the slot ends, but for rounding: only `_slot` can tell exactly.
        later = max(update + 1, math.floor(10 ** ((slot + 1 - 1e-9) / self.per_decade)))
        while self._slot(later) == slot:
            later += 1
        while later - 1 > update and self._slot(later - 1) > slot:
            later -= 1
        return later

    def _slot(self, update: int) -> int:
        return math.floor(self.per_decade * math.log10(update) + 1e-9) if update else -1


def _as_tuple(updates: Any) -> Any:
    """A list as a tuple, which pydantic needs in strict mode."""
    return tuple(updates) if isinstance(updates, list) else updates


class At(Schedule):
    """The updates listed.

    >>> At(updates=[100, 0, 10]).due_updates(50)
    (0, 10)
    """

    name: Literal["at"] = "at"
    updates: Annotated[
        tuple[NonNegativeInt, ...],
        Field(min_length=1),
        BeforeValidator(_as_tuple),
        AfterValidator(lambda updates: tuple(sorted({*updates}))),
    ] = Field(description="Updates, counted from 0.", examples=[[0, 10, 100]])

    def due(self, update: int, updates: int | None = None) -> bool:
        return update in self._listed

    def due_updates(self, updates: int) -> Sequence[int]:
        return self.updates[: bisect_left(self.updates, updates)]

    def first(self) -> int:
        return self.updates[0]

    @cached_property
    def _listed(self) -> frozenset[int]:
        return frozenset(self.updates)


SCHEDULES: Table[Schedule] = table(Every, Log, At)


def as_schedule(value: Any) -> Any:
    """A schedule as a mapping where it was given in short: 10 for every 10th update, [0, 10, 100] for these."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"name": "every", "n": value}
    return {"name": "at", "updates": value} if isinstance(value, (list, tuple)) else value
