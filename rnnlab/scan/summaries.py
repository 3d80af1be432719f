"""Compiled summaries of row norms over a batch, as gradients.csv has them: the slow and obvious way is `logspace`.

A row's norm is sqrt(square) * 2^exponent, too large or too small for any number format.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numba.extending import register_jitable

from rnnlab.scan.compiled import OPTIONS

LOG10_2 = math.log10(2.0)

FEW = 40
"""Up to so many values an insertion sort is the faster one."""


@register_jitable(**OPTIONS)
def binary(square, exponent):  # type: ignore[no-untyped-def]
    """square * 4^exponent as a fraction in [0.5, 1) and a power of two."""
    fraction, power = math.frexp(square)
    return fraction, power + 2 * exponent


@register_jitable(**OPTIONS)
def sort(values):  # type: ignore[no-untyped-def]
    if values.shape[0] > FEW:
        values.sort()
        return
    for j in range(1, values.shape[0]):
        value, k = values[j], j
        while k > 0 and values[k - 1] > value:
            values[k] = values[k - 1]
            k -= 1
        values[k] = value


@register_jitable(**OPTIONS)
def percentile(ordered, percent):  # type: ignore[no-untyped-def]
    """By linear interpolation; between -inf and a number it is -inf."""
    place = percent / 100 * (ordered.shape[0] - 1)
    below = math.floor(place)
    low, weight = ordered[below], place - below
    if weight == 0 or low == -np.inf:
        return low
    return low * (1 - weight) + ordered[below + 1] * weight


@njit(nogil=True, cache=True, **OPTIONS)
def over_batch(squares, exponents, lengths, percents, total, percentiles, r, first, last):  # type: ignore[no-untyped-def]
    """log10 of the norm over the batch, and percentiles of log10 row norms, at timesteps [first, last) of replica r.

    squares float64 [R, T, B], exponents int64 [R, T, B], lengths [R, B]: rows beyond their length are left out.
    total [R, T], percentiles [len(percents), R, T]. Exact zero is -inf; a row that is not finite makes the total so.
    """
    values = np.empty(squares.shape[2])
    for t in range(first, last):
        count, top, broken, worst = 0, -(2**62), False, 0.0
        for b in range(squares.shape[2]):
            if t < lengths[r, b]:
                square, e = squares[r, t, b], exponents[r, t, b]
                values[count] = 0.5 * math.log10(square) + e * LOG10_2 if square > 0 else -np.inf
                if not square < np.inf:
                    values[count] = square
                    worst += square  # inf, or nan if one is
                    broken = True
                elif square > 0:
                    top = max(top, binary(square, e)[1])
                count += 1
        sum_of_parts = 0.0
        for b in range(squares.shape[2]):
            if t < lengths[r, b] and 0 < squares[r, t, b] < np.inf:
                fraction, power = binary(squares[r, t, b], exponents[r, t, b])
                sum_of_parts += math.ldexp(fraction, max(power - top, -2000))
        if broken:
            total[r, t] = worst
        else:
            total[r, t] = 0.5 * (math.log10(sum_of_parts) + top * LOG10_2) if sum_of_parts > 0 else -np.inf
        alive = values[:count]
        if math.isnan(worst) or count == 0:
            percentiles[:, r, t] = np.nan
        else:
            sort(alive)
            for i in range(percents.shape[0]):
                percentiles[i, r, t] = percentile(alive, percents[i])


@njit(nogil=True, cache=True, **OPTIONS)
def over_places(squares, exponents, times, total, tops, r):  # type: ignore[no-untyped-def]
    """log10 of the norm over the batch of rows that lie at places, [R, S, B], added up where they belong: total [R, T].

    times [R, S, B] says where, -1 being nowhere; tops int64 [T] is scratch.
    """
    tops[:], total[r] = -(2**62), 0.0
    for p in range(squares.shape[1]):
        for b in range(squares.shape[2]):
            t, square = times[r, p, b], squares[r, p, b]
            if t >= 0 and 0 < square < np.inf:
                tops[t] = max(tops[t], binary(square, exponents[r, p, b])[1])
    for p in range(squares.shape[1]):
        for b in range(squares.shape[2]):
            t, square = times[r, p, b], squares[r, p, b]
            if t >= 0 and not square < np.inf:
                total[r, t] += square
            elif t >= 0 and square > 0:
                fraction, power = binary(square, exponents[r, p, b])
                total[r, t] += math.ldexp(fraction, max(power - tops[t], -2000))
    for t in range(total.shape[1]):
        if total[r, t] > 0 and total[r, t] < np.inf:
            total[r, t] = 0.5 * (math.log10(total[r, t]) + tops[t] * LOG10_2)
        elif total[r, t] == 0:
            total[r, t] = -np.inf
