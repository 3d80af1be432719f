"""How sure the slope of a curve is, from the increments of the curve.

log10 of the norm of a product of random matrices is a random walk with drift (Furstenberg and Kesten 1960): the points
of a curve are anything but independent, and the standard error of a fitted line, which takes them as such, is far too
small. The increments are nearly independent, and their correlation is met by blocks that are longer than it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95
ROUNDING = 1e-6
"""Below this, in decades, what is left of every increment is rounding, and the curve is an exponential."""
_BLOCKS = (6, 4, 3, 2)
_FEWEST_INCREMENTS = 8
_SURE = 1.64
"""Normal quantile of the one-sided bound on the correlation: blocks are to be long enough in 19 of 20 cases."""
_MOST_CORRELATED = 0.99


def margin_of(x: Floats, y: Floats, slope: float) -> float | None:
    """Half the width of the 95% interval of a least-squares slope, or None where none can be had.

    x ascending [n+1], y [n+1]; in the units of the slope. With the increments' residuals r_k = dy_k - slope dx_k, the
    slope is off by sum W_k r_k, W_k = sum_{i>k} (x_i - mean x) / sum (x_i - mean x)^2. The long-run variance of r comes
    from the means of G equal blocks, and the interval has Student's quantile with G-1 degrees of freedom (Ibragimov and
    Mueller 2010, doi:10.1198/jbes.2009.08046). G is the largest of 6, 4, 3, 2 whose blocks are longer than (1+a)/(1-a)
    timesteps, with a the upper bound of the increments' autocorrelation at one lag (bias as in Kendall 1954). None
    where even two blocks are not, or there are fewer than 8 increments: unless all of r is rounding.
    """
    dx, residuals = np.diff(x), np.diff(y) - slope * np.diff(x)
    n, span = len(dx), float(x[-1] - x[0])
    if np.abs(residuals).max() < ROUNDING:
        return ROUNDING / span
    if n < _FEWEST_INCREMENTS:
        return None
    needed = _correlation_length(residuals)
    blocks = next((G for G in _BLOCKS if n / G >= needed), None)
    if blocks is None:
        return None
    edges = np.linspace(0, n, blocks + 1).round().astype(int)[:-1]
    sums, lengths = np.add.reduceat(residuals, edges), np.add.reduceat(dx, edges)
    deviations = sums - sums.sum() / span * lengths
    variance = float((deviations**2 / lengths).sum()) / (blocks - 1)
    centred = x - x.mean()
    weights = centred[::-1].cumsum()[::-1][1:] / float(centred @ centred)
    return _quantile(blocks - 1) * math.sqrt(variance * float((weights**2) @ dx)) + ROUNDING / span


def _correlation_length(residuals: Floats) -> float:
    """How many timesteps are worth one independent one, (1+a)/(1-a), at an upper bound of the autocorrelation a."""
    n = len(residuals)
    a = float(residuals[1:] @ residuals[:-1] / (residuals @ residuals))
    a = min(a + (1 + 3 * a) / n, _MOST_CORRELATED)
    a = min(a + _SURE * math.sqrt(max(1 - a * a, 1 / n) / n), _MOST_CORRELATED)
    return max((1 + a) / (1 - a), 1.0)


def _quantile(freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + LEVEL) / 2))
