"""What theory says of a group: the slopes that its runs' probe `theory` wrote, beside the curve that was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnlab.compare.probe_series import Reading, run_readings
from rnnlab.runs.run import Run

if TYPE_CHECKING:
    from rnnlab.compare.measured import MedianCurve

PROBE = "theory"


@dataclass(frozen=True)
class TheoryLine:
    """A slope by theory, and its name; of a group's runs the median.

    >>> line = TheoryLine("rho^lag", -0.1, 3)
    >>> line.rate
    -10.0
    """

    name: str
    slope: float
    """Of log10 ||dL/dh_t|| against lag, decades a timestep."""
    runs: int

    @property
    def rate(self) -> float:
        """In decades per 100 timesteps, as measured rates are."""
        return 100 * self.slope

    def through(self, lags: ArrayLike, values: ArrayLike) -> NDArray[np.float64]:
        """The line at these lags, through the first value that is finite; NaN where none is.

        >>> TheoryLine("rho^lag", -0.5, 1).through([0, 1, 2], [-1.0, -1.4, -2.1]).tolist()
        [-1.0, -1.5, -2.0]
        """
        lag, value = np.asarray(lags, float), np.asarray(values, float)
        finite = np.flatnonzero(np.isfinite(value))
        if not finite.size:
            return np.full(lag.shape, np.nan)
        first = finite[0]
        return np.asarray(value[first] + self.slope * (lag - lag[first]))

    def beside(self, curve: MedianCurve) -> NDArray[np.float64]:
        """The line at the lags of a group's median curve."""
        return self.through(curve.lags, curve.median)


Slopes = Mapping[str, Reading]
"""By the name of a theory, the slopes of a run's top layer by update; empty where its probes did not include it."""


def slopes_of(run: Run) -> Slopes:
    """What the probe `theory` wrote of a run's top layer."""
    readings, _ = run_readings(run, [PROBE])
    top = int(run.settings["model.layers"]) - 1 if readings else 0
    return {part: reading for (_, _, layer, part), reading in readings.items() if layer == top}


def theory_lines(runs: Iterable[Slopes], at: int | None = None) -> tuple[TheoryLine, ...]:
    """The lines that all of these runs have, at the update nearest to `at` that has any, or the last one."""
    slopes = [_at(of_run, at) for of_run in runs]
    names = [name for name in slopes[0] if all(name in other for other in slopes)] if slopes else []
    return tuple(TheoryLine(name, float(np.median([other[name] for other in slopes])), len(slopes)) for name in names)


def _at(slopes: Slopes, at: int | None) -> dict[str, float]:
    """The slopes of one update; a theory that says nothing there has none."""
    nearest = {reading.update(at) for reading in slopes.values()}
    if not nearest:
        return {}
    update = max(nearest) if at is None else min(nearest, key=lambda each: (abs(each - at), each))
    there = {name: reading.by_place(update)[1] for name, reading in slopes.items()}
    return {name: float(values[0]) for name, values in there.items() if values.size}
