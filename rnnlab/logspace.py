"""log10 of norms whose size no number format can hold.

Nothing here takes log(x + eps). An exact zero is -inf, what is not finite stays so, and a value that float32 lost on
the way is `underflow`: the general scan can meet it within one timestep, and `watch` in cells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LOG10_2 = float(np.log10(2.0))

Array = NDArray[np.float64]


def log10_of_squares(squares: Array, exponents: NDArray[np.int64]) -> Array:
    """log10 of sqrt(squares) * 2^exponents, elementwise: -inf for exact zero, inf or nan if not finite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(0.5 * np.log10(squares) + exponents * LOG10_2)


def log10_total(log10_norms: Array) -> Array:
    """log10 of the norm over the last axis of parts whose log10 norms are given: sqrt(sum of 10^(2 l))."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        top = log10_norms.max(-1)
        steady = np.where(np.isfinite(top), top, 0.0)
        total = 0.5 * np.log10((10.0 ** (2 * (log10_norms - steady[..., None]))).sum(-1)) + steady
    return np.where(np.isfinite(top), total, top)


def log10_percentiles(log10_norms: Array, alive: NDArray[np.bool_], percents: tuple[float, ...]) -> Array:
    """Percentiles over the last axis of the entries that are alive, by linear interpolation of log10 values.

    Shapes [..., B] to [len(percents), ...]. A value between -inf and a number is -inf; if an entry is nan, so is the
    result. With nothing alive the result is nan too, and no row is written for it.
    """
    ordered = np.sort(np.where(alive, log10_norms, np.inf), -1)
    count = alive.sum(-1)
    broken = (alive & np.isnan(log10_norms)).any(-1) | (count == 0)
    rows = []
    for percent in percents:
        position = percent / 100 * (np.maximum(count, 1) - 1)
        below = np.floor(position).astype(int)
        above = np.minimum(below + 1, np.maximum(count, 1) - 1)
        low = np.take_along_axis(ordered, below[..., None], -1)[..., 0]
        high = np.take_along_axis(ordered, above[..., None], -1)[..., 0]
        weight = position - below
        with np.errstate(invalid="ignore"):
            between = np.where(weight == 0, low, low * (1 - weight) + high * weight)
        between = np.where(np.isneginf(low) & (weight > 0), -np.inf, between)
        rows.append(np.where(broken, np.nan, between))
    return np.stack(rows)


def power_of_ten(log10_value: Array) -> Array:
    """10^x as a plain number: 0 or inf where float64 cannot hold it."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(10.0**log10_value)
