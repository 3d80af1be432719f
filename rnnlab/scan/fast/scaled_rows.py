"""Rows of a gradient inside compiled code, each with its power of two: true value = mantissa * 2^e.

Used by the scan going back. A row is rescaled when its norm leaves [2^-10, 2^10], which is exact, so nothing under- or
overflows however long the sequence is, and no subnormal number slows the loop down.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.extending import overload, register_jitable

from rnnlab.scan.fast.nonlinearities import OPTIONS
from rnnlab.scan.pointwise import copy
from rnnlab.scan.thresholds import NEGLIGIBLE, ROW, ROW_SQUARES, SMALLEST_FLOAT32

SMALLEST, LARGEST = ROW_SQUARES


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
def power_of_two(unit, shift):  # type: ignore[no-untyped-def]
    """2^shift in the dtype of `unit`; 0 where shift < NEGLIGIBLE, and at most 2^-NEGLIGIBLE."""
    return (unit - unit) if shift < NEGLIGIBLE else unit * np.float32(math.ldexp(1.0, min(shift, -NEGLIGIBLE)))


ZERO_EXPONENT, NONFINITE_EXPONENT = -10_000, 10_000
"""What `largest_exponent` says of a row that is exactly zero, and of one that is not finite."""


def largest_exponent(row: Any) -> int:
    """floor(log2) of the largest size in a row; ZERO_EXPONENT or NONFINITE_EXPONENT where there is none.

    A subnormal size has the exponent just below the smallest normal one.
    """
    largest = np.abs(row).max(initial=0.0)
    if not largest < np.inf:
        return NONFINITE_EXPONENT
    return int(max(np.frexp(largest)[1] - 1, np.finfo(row.dtype).minexp - 1)) if largest else ZERO_EXPONENT


@overload(largest_exponent, jit_options=OPTIONS)
def _largest_exponent(row):  # type: ignore[no-untyped-def]
    # Sizes compare as their bits do, and integers in a vector: a maximum of floats must mind NaN one by one.
    bits = np.int32 if row.dtype.bitwidth == 32 else np.int64
    sign_off = bits(np.iinfo(bits).max)
    fraction, bias = (23, 127) if row.dtype.bitwidth == 32 else (52, 1023)

    def find(row):  # type: ignore[no-untyped-def]
        largest, numbers = bits(0), row.view(bits)
        for j in range(numbers.shape[0]):
            largest = max(largest, numbers[j] & sign_off)
        exponent = np.int64(largest >> fraction) - bias
        if largest == 0:
            return ZERO_EXPONENT
        return NONFINITE_EXPONENT if exponent > bias else exponent

    return find


@register_jitable(**OPTIONS)
def rescale(row, by, unit):  # type: ignore[no-untyped-def]
    """row <- row * 2^by, for any `by`: exact where the result is a normal number."""
    while by != 0:
        shift = min(max(by, NEGLIGIBLE), -NEGLIGIBLE)
        scale(row, power_of_two(unit, shift))
        by -= shift


@register_jitable(**OPTIONS)
def align(row, by, top, unit):  # type: ignore[no-untyped-def]
    """row <- row * 2^by, or zero where its largest entry, 2^top, would come below 2^NEGLIGIBLE."""
    if by + top < NEGLIGIBLE:
        clear(row)
    else:
        rescale(row, by, unit)


@register_jitable(**OPTIONS)
def accumulate(dh, dc, e, upstream, e_upstream, unit):  # type: ignore[no-untyped-def]
    """Add upstream [H] * 2^e_upstream to dh [H] * 2^e; returns the exponent that dh and dc [C] have after that.

    The common exponent comes from the entries of the rows and not from their exponents alone: a row of zeros has an
    exponent too, and a row that has come through saturated units is far smaller than its exponent says.
    """
    top = largest_exponent(upstream)
    if top == ZERO_EXPONENT:
        return e
    own = max(largest_exponent(dh), largest_exponent(dc))
    if own == ZERO_EXPONENT:
        copy(upstream, dh)
        return e_upstream
    if own == NONFINITE_EXPONENT or top == NONFINITE_EXPONENT:
        add_to(dh, upstream)
        return e
    if abs(own) > ROW:
        rescale(dh, -own, unit)
        rescale(dc, -own, unit)
        e, own = e + own, 0
    # 2^127 is a number of float32, and the largest factor that this can come to.
    common = max(e, e_upstream + (max(top, SMALLEST_FLOAT32) if abs(top) > ROW else 0))
    align(dh, e - common, own, unit)
    align(dc, e - common, own, unit)
    if e_upstream - common + top >= NEGLIGIBLE:
        factor = unit * np.float32(math.ldexp(1.0, e_upstream - common))
        for j in range(dh.shape[0]):
            dh[j] += factor * upstream[j]
    return common


@register_jitable(**OPTIONS)
def normalize(dh, dc, e, unit):  # type: ignore[no-untyped-def]
    """Rescale dh [H] and dc [C] when their norm is far from 1; returns their exponent after that, and |dh|^2."""
    square = sum_of_squares(dh)
    size = square + sum_of_squares(dc)
    if not (size > SMALLEST and size < LARGEST):
        # The squares themselves may have left float64.
        top = max(largest_exponent(dh), largest_exponent(dc))
        if top != ZERO_EXPONENT and top != NONFINITE_EXPONENT and top != 0:
            rescale(dh, -top, unit)
            rescale(dc, -top, unit)
            e, square = e + top, sum_of_squares(dh)
    return e, square


@register_jitable(**OPTIONS)
def clamp(row, bound):  # type: ignore[no-untyped-def]
    """Clamp a row [N] to [-bound, bound]; returns how many entries were beyond it. NaN stays NaN."""
    count = 0
    for j in range(row.shape[0]):
        if row[j] > bound:
            row[j] = bound
            count += 1
        elif row[j] < -bound:
            row[j] = -bound
            count += 1
    return count
