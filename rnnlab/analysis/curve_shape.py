"""Whether a curve of log10 norm is an exponential at all: one that turns, or falls off a cliff, is none."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST_POINTS = 9
_KOLMOGOROV = 1.63
"""The 1% quantile of the largest size of a Brownian bridge (Kolmogorov 1933)."""
_OUTLIER = 12.0


def break_of(x: Floats, y: Floats) -> tuple[int, int] | None:
    """Where a curve stops to be one line: the last index of what is before, and the first of what is behind.

    One index where it turns, two where it falls off a cliff or climbs one; None where it may be one line.

    A turn: the increments' cumulated deviations from their mean, max_k |S_k - k/n S_n| / (s sqrt(n)), are beyond what
    they are for increments of one mean (Brown, Durbin and Evans 1975), with s the long-run deviation about the means of
    the two parts. A cliff: one stretch of at most a tenth of the lags has half of the curve's whole range, and moves by
    more than 12 times the median deviation of stretches as long.
    """
    if len(x) < FEWEST_POINTS:
        return None
    turn = _turn(np.diff(y) / np.diff(x))
    return _cliff(y) if turn is None else turn


def _turn(rates: Floats) -> tuple[int, int] | None:
    n = len(rates)
    bridge = np.cumsum(rates - rates.mean())[:-1]
    at = int(np.abs(bridge[1:-1]).argmax()) + 2
    parts = rates[:at] - rates[:at].mean(), rates[at:] - rates[at:].mean()
    residuals = np.concatenate(parts)
    variance = float(residuals @ residuals) / (n - 2)
    if variance > 0:
        a = float(residuals[1:] @ residuals[:-1] / (residuals @ residuals))
        a = min(a + (2 + 4 * a) / n, 0.97)
        variance *= max((1 + a) / (1 - a), 1.0)
    return (at, at) if abs(bridge[at - 1]) > _KOLMOGOROV * math.sqrt(variance * n) + 1e-9 else None


def _cliff(y: Floats) -> tuple[int, int] | None:
    n, spread = len(y) - 1, float(np.ptp(y))
    for width in sorted({1, math.ceil(n / 20), math.ceil(n / 10)}):
        moved = y[width:] - y[:-width]
        deviation = np.abs(moved - np.median(moved))
        at = int(deviation.argmax())
        if abs(moved[at]) >= spread / 2 and deviation[at] > _OUTLIER * float(np.median(deviation)):
            return at, at + width
    return None
