"""Exponents and powers of two inside kernels: a row's true value is mantissa * 2^e, with e an int32.

What `scaled.py` does with tensors, on a block of rows in registers. Powers are put together from their bits, since the
device's own exp2 is not exact.
"""

from __future__ import annotations

import triton
import triton.language as tl

NOTHING = tl.constexpr(-(1 << 29))
"""The exponent of a row of zeros: below all others, and a sum of two of them is an int32 still."""


@triton.jit
def power(n):  # type: ignore[no-untyped-def]
    """2^n in float32 of int32 n, exact: 0 below 2^-126, and at most 2^127."""
    n = tl.minimum(tl.maximum(n, -127), 127)
    return ((n + 127) << 23).to(tl.float32, bitcast=True)


@triton.jit
def wide_power(n):  # type: ignore[no-untyped-def]
    """2^n in float64 of int32 n, exact: 0 below 2^-1022, and at most 2^1023."""
    n = tl.minimum(tl.maximum(n, -1023), 1023).to(tl.int64)
    return ((n + 1023) << 52).to(tl.float64, bitcast=True)


@triton.jit
def largest_exponents(rows):  # type: ignore[no-untyped-def]
    """floor(log2) of the largest size in each row [ROWS, HP], int32 [ROWS].

    NOTHING for a row of zeros, and -127 for one of subnormal numbers. At most 126, also of a row that is not finite:
    2^-126 is a number that such a row can be multiplied with.
    """
    # Sizes compare as their bits do, NaN above all numbers.
    bits = tl.max(rows.to(tl.int32, bitcast=True) & 0x7FFFFFFF, 1)
    return tl.where(bits == 0, NOTHING, tl.minimum((bits >> 23) - 127, 126))


@triton.jit
def row_squares(rows):  # type: ignore[no-untyped-def]
    """The squared norm of each row [ROWS, HP] of float32, as float64 [ROWS].

    In float32, but of rows near 1, so that none underflows: float64 is slow on many devices.
    """
    e = tl.maximum(largest_exponents(rows), -127)
    near_one = rows * power(-e)[:, None]
    return tl.sum(near_one * near_one, 1).to(tl.float64) * wide_power(2 * e)


@triton.jit
def joined(dh, dc, e, arriving, size):  # type: ignore[no-untyped-def]
    """Rows dh, dc [ROWS, HP] at exponents e [ROWS], and rows near 1 that reach dh from outside at exponents `size`.

    Returns dh, dc and their common exponents, with the larger of both near 1. Where nothing arrives `size` is NOTHING,
    and `arriving` zero.
    """
    own = e + largest_exponents(tl.maximum(tl.abs(dh), tl.abs(dc), propagate_nan=tl.PropagateNan.ALL))
    top = tl.maximum(own, size)
    factor = power(e - top)[:, None]
    dh = dh * factor + arriving * power(size - top)[:, None]
    return dh, dc * factor, tl.where(top <= NOTHING // 2, 0, top)
