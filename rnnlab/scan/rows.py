"""Rows of a gradient inside compiled code, each with its power of two: true value = mantissa * 2^e.

Used by the scan going back. A row is rescaled when its norm leaves [2^-10, 2^10], which is exact, so nothing under- or
overflows however long the sequence is, and no subnormal number slows the loop down.
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable

from rnnlab.scan.compiled import OPTIONS

LARGEST, SMALLEST = 2.0**20, 2.0**-20
"""Bounds on the squared norm of a row's mantissa."""

NEGLIGIBLE = -70
"""A row this many powers of two below the largest adds nothing to a sum, in float64 either; its last bits would be
subnormal numbers in float32, which a CPU is slow on."""


@register_jitable(error_model="numpy", fastmath={"contract", "reassoc"})
def sum_of_squares(row):  # type: ignore[no-untyped-def]
    total = 0.0
    for j in range(row.shape[0]):
        total += np.float64(row[j]) * np.float64(row[j])
    return total


@register_jitable(**OPTIONS)
def scale(row, factor):  # type: ignore[no-untyped-def]
    for j in range(row.shape[0]):
        row[j] *= factor


@register_jitable(**OPTIONS)
def clear(row):  # type: ignore[no-untyped-def]
    for j in range(row.shape[0]):
        row[j] = 0


@register_jitable(**OPTIONS)
def clear_all(rows):  # type: ignore[no-untyped-def]
    for k in range(rows.shape[0]):
        clear(rows[k])


@register_jitable(**OPTIONS)
def add_to(row, other):  # type: ignore[no-untyped-def]
    for j in range(row.shape[0]):
        row[j] += other[j]


@register_jitable(**OPTIONS)
def power_of_two(one, shift):  # type: ignore[no-untyped-def]
    """2^shift in the dtype of `one`, or 0 where that would leave the normal range."""
    return (one - one) if shift < NEGLIGIBLE else one * np.float32(math.ldexp(1.0, min(shift, -NEGLIGIBLE)))


@register_jitable(**OPTIONS)
def join(dh, dc, e, arriving, e_arriving, one):  # type: ignore[no-untyped-def]
    """Add what arrives at this timestep to the row, at the larger of the two exponents, and return that."""
    if sum_of_squares(dh) + sum_of_squares(dc) == 0.0:
        e = e_arriving
    if e_arriving > e:
        factor = power_of_two(one, e - e_arriving)
        scale(dh, factor)
        scale(dc, factor)
        e = e_arriving
    factor = power_of_two(one, e_arriving - e)
    for j in range(dh.shape[0]):
        dh[j] += factor * arriving[j]
    return e


@register_jitable(**OPTIONS)
def renormalize(dh, dc, e, one):  # type: ignore[no-untyped-def]
    """Bring the row's norm near 1 when it has gone far from it; its exponent after that, and the square of dh."""
    square = sum_of_squares(dh)
    size = square + sum_of_squares(dc)
    if (size > LARGEST or size < SMALLEST) and size > 0.0 and size < np.inf:
        _, twice = math.frexp(size)
        shift = min(max(twice // 2, NEGLIGIBLE), -NEGLIGIBLE)
        factor = power_of_two(one, -shift)
        scale(dh, factor)
        scale(dc, factor)
        e += shift
        square = sum_of_squares(dh)
    return e, square


@register_jitable(**OPTIONS)
def clamp(row, bound):  # type: ignore[no-untyped-def]
    """Clamp to [-bound, bound]; returns how many entries were beyond it. NaN stays."""
    count = 0
    for j in range(row.shape[0]):
        if row[j] > bound:
            row[j] = bound
            count += 1
        elif row[j] < -bound:
            row[j] = -bound
            count += 1
    return count
