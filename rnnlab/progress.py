"""The progress of a run, a fleet or a sweep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Self


@dataclass(frozen=True)
class Progress:
    """The progress of a run or a fleet in updates, or of a sweep in runs.

    A fleet has one loss for each of its runs; its other numbers are medians over the runs. Unknown values are None.

    >>> progress = Progress(done=30, total=40, losses=(1.0, 3.0))
    >>> progress.fraction, progress.loss
    (0.75, 2.0)
    """

    done: int
    total: int
    losses: tuple[float, ...] = ()
    """Of the last update."""
    error: float | None = None
    """Of the last update that was logged."""
    eval_loss: float | None = None
    eval_error: float | None = None
    grad_norm: float | None = None
    """Before the clip."""
    clip_rate: float | None = None
    rate: float | None = None
    """Updates per second."""
    seconds_left: float | None = None

    @property
    def fraction(self) -> float:
        """The share that is done, from 0 to 1."""
        return self.done / self.total if self.total else 0.0

    @property
    def loss(self) -> float | None:
        """The loss of a run; the median loss of a fleet."""
        return median_of(self.losses)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`, also for fields that went through JSON."""
        return cls(**{**fields, "losses": tuple(fields["losses"])})


def median_of(values: Iterable[float | None]) -> float | None:
    """The median of the values that are not None, or None if there are none."""
    known = [value for value in values if value is not None]
    return median(known) if known else None
