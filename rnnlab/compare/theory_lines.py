"""What theory says of a group: the slopes that its runs' probe `theory` wrote, beside the curve that was measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnlab.errors import RunFolderError
from rnnlab.runs.run import Run

if TYPE_CHECKING:
    from rnnlab.compare.measured import MedianCurve

PROBE, QUANTITY = "theory", "slope"


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


def theory_lines(runs: Iterable[Run], at: int | None = None) -> tuple[TheoryLine, ...]:
    """The lines of the top layer that all of these runs have, at the update nearest to `at`, or the last one."""
    slopes = [_slopes(run, at) for run in runs]
    if not slopes:
        return ()
    names = [name for name in slopes[0] if all(name in other for other in slopes)]
    return tuple(TheoryLine(name, float(np.median([other[name] for other in slopes])), len(slopes)) for name in names)


def _slopes(run: Run, at: int | None) -> dict[str, float]:
    """The slopes of one run by the name of the theory; none where its probes did not include it."""
    if not run.dir.tables.exists():
        return {}
    try:
        rows = run.tables
    except RunFolderError:
        return {}
    rows = rows[(rows["probe"] == PROBE) & (rows["quantity"] == QUANTITY)]
    if rows.empty:
        return {}
    rows = rows[rows["layer"] == run.gradients["layer"].max()]
    updates = rows["update"].unique()
    if not len(updates):
        return {}
    chosen = updates.max() if at is None else updates[np.abs(updates - at).argmin()]
    rows = rows[rows["update"] == chosen]
    return dict(zip(rows["part"], rows["value"].astype(float), strict=True))
