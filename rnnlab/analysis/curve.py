"""The rate, the horizon and the effective lag of a curve of log10 |dL/dh_t| against lag.

Every function takes `log10_norm` with sentinel values: -inf is exactly zero, +inf is not finite, NaN is underflow (see
`rnnlab.runs.readers.read_gradients`). docs/RECORDS.md gives the definitions at length, with their sources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnlab.analysis.rate_interval import margin_of

FEWEST_POINTS = 5
FALLEN_TO = 0.01
DECADES_OF_A_TREND = 1.0
"""A curve that changes by less than this over the whole window is called stable."""
CONSTANT = 1e-6
"""Below this spread, in decades, a curve is a constant and R² would be one rounding error over another."""


@dataclass(frozen=True)
class Fit:
    """A least-squares line through log10 norm against lag.

    >>> from rnnlab.analysis.curve import fit
    >>> line = fit(range(50), [-0.1 * lag for lag in range(50)])
    >>> f"{line.rate:.1f} decades per 100 timesteps, from {line.points} points"
    '-10.0 decades per 100 timesteps, from 50 points'
    """

    rate: float
    """Slope, in decades per 100 timesteps of lag; negative where the gradient falls with lag."""
    nats: float
    """The same in nats a timestep, the finite-time Lyapunov exponent of the adjoint: ln 10 rate / 100."""
    margin: float | None
    """Half the width of the rate's 95% interval (see `margin_of`); None where none can be had."""
    r2: float | None
    """Share of the curve's variance on the line; None for a constant curve."""
    change: float
    """What the line changes by from one end of the window to the other, in decades."""
    spread: float
    """Largest less smallest log10 norm in the window, in decades."""
    window: tuple[int, int]
    """Smallest and largest lag that was fitted."""
    points: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ends of the rate's 95% interval, in decades per 100 timesteps."""
        return None if self.margin is None else (self.rate - self.margin, self.rate + self.margin)

    @property
    def change_interval(self) -> tuple[float, float] | None:
        """The same for the change across the window, in decades."""
        if self.margin is None:
            return None
        half = self.margin / 100 * (self.window[1] - self.window[0])
        return self.change - half, self.change + half

    @property
    def is_beyond_a_decade(self) -> bool:
        """Whether all of that interval is a fall, or a rise, of DECADES_OF_A_TREND or more."""
        low, high = self.change_interval or (-math.inf, math.inf)
        return high <= -DECADES_OF_A_TREND or low >= DECADES_OF_A_TREND


def fit(lag: ArrayLike, log10_norm: ArrayLike, window: tuple[int, int] | None = None) -> Fit | None:
    """Fit log10 |dL/dh_t| = a + b lag over the finite points with window[0] <= lag <= window[1] (all of them).

    rate = 100 b, with the interval of `margin_of`. None below FEWEST_POINTS points.
    """
    x, y = ordered(lag, log10_norm)
    low, high = window or (-math.inf, math.inf)
    chosen = np.isfinite(y) & (x >= low) & (x <= high)
    x, y = x[chosen], y[chosen]
    if len(x) < FEWEST_POINTS or x[0] == x[-1]:
        return None
    dx, dy = x - x.mean(), y - y.mean()
    slope = float(dx @ dy / (dx @ dx))
    unexplained = float(np.sum((dy - slope * dx) ** 2))
    margin = margin_of(x, y, slope)
    return Fit(
        rate=100 * slope,
        nats=math.log(10) * slope,
        margin=None if margin is None else 100 * margin,
        r2=None if np.ptp(y) < CONSTANT else max(0.0, 1 - unexplained / float(dy @ dy)),
        change=slope * float(x[-1] - x[0]),
        spread=float(np.ptp(y)),
        window=(int(x[0]), int(x[-1])),
        points=len(x),
    )


def horizon(lag: ArrayLike, log10_norm: ArrayLike, fallen_to: float = FALLEN_TO) -> float | None:
    """How many timesteps before its largest value the gradient first falls to 1% of that value.

    With p the lag of the largest value (the smallest such lag), the first lag q > p where
    log10_norm(q) <= log10_norm(p) + log10(fallen_to), less p; q lies on the straight line between the two recorded
    points around it. Where the later of them is zero or underflow no line can be drawn, and it is the later point.
    For rho^lag that is log(fallen_to) / log(rho). None where it never falls so far, or a point is not finite.
    """
    x, y = ordered(lag, log10_norm)
    y = np.where(np.isnan(y), -np.inf, y)
    if not np.isfinite(y).any() or np.isposinf(y).any():
        return None
    peak = int(np.argmax(y))
    level = y[peak] + math.log10(fallen_to)
    below = np.flatnonzero(y[peak:] <= level)
    if not below.size:
        return None
    last, first = peak + below[0] - 1, peak + below[0]
    part = (y[last] - level) / (y[last] - y[first]) if np.isfinite(y[first]) else 1.0
    return float(x[last] + part * (x[first] - x[last]) - x[peak])


def effective_lag(lag: ArrayLike, log10_norm: ArrayLike) -> float | None:
    """How far back the gradient arrives on average: the mean lag, each timestep weighted by its norm.

    sum(lag ||dL/dh_t||) / sum(||dL/dh_t||), in timesteps; for rho^lag and a long sequence rho / (1 - rho). Zeros and
    underflow weigh nothing. None where a point is not finite, or all are zero (the mean lag of Griliches 1967).
    """
    x, y = ordered(lag, log10_norm)
    y = np.where(np.isnan(y), -np.inf, y)
    if not np.isfinite(y).any() or np.isposinf(y).any():
        return None
    weight = 10 ** (y - y.max())
    return float(x @ weight / weight.sum())


def ordered(lag: ArrayLike, log10_norm: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The points of a curve in the order of their lags."""
    x, y = np.asarray(lag, np.float64), np.asarray(log10_norm, np.float64)
    order = np.argsort(x, kind="stable")
    return x[order], y[order]
