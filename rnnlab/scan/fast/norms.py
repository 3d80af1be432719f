"""Compiled statistics of row norms over a batch, as gradients.csv has them; `logspace` has the same in plain numpy.

A row's norm is sqrt(square) * 2^exponent, too large or too small for any number format. Until something is written down
a row is a *key*: log2 of square * 4^exponent with straight lines between the powers of two,

    key = power + fraction   where   square * 4^exponent = 2^power * (1 + fraction),  0 <= fraction < 1.

Keys sort as the norms do, hold them as precisely as their logarithms would, and cost no logarithm. Exact zero is -inf.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numba.extending import register_jitable
from numpy.typing import NDArray

from rnnlab.scan.fast.nonlinearities import OPTIONS

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

LOG10_2 = math.log10(2.0)

SMALLEST = float(np.finfo(np.float64).smallest_normal)
WIDTH, BIAS = np.int64(52), np.int64(1023)
FRACTION, BITS_OF_ONE = np.int64((1 << 52) - 1), np.int64(1023 << 52)
"""A float64 is the bits of its fraction, and above them its power of two plus the bias."""

NEGLIGIBLE = -1000.0
"""A part this many powers of two below the largest adds nothing to a sum, and is a normal number still."""


@register_jitable(**OPTIONS)
def key_of(square, exponent):  # type: ignore[no-untyped-def]
    """The key of a row; what is not finite stays what it is."""
    if not square < np.inf:
        return square
    if square == 0.0:
        return -np.inf
    if square < SMALLEST:  # a subnormal number does not begin with 1
        square, exponent = square * 2.0**200, exponent - 100
    bits = np.float64(square).view(np.int64)
    fraction = np.int64(bits & FRACTION | BITS_OF_ONE).view(np.float64) - 1.0
    return float((bits >> WIDTH) - BIAS + 2 * exponent) + fraction


@register_jitable(**OPTIONS)
def log10_of(key):  # type: ignore[no-untyped-def]
    """log10 of the norm of the row with this key."""
    if not abs(key) < np.inf:
        return key
    power = math.floor(key)
    return 0.5 * LOG10_2 * (power + math.log2(1.0 + (key - power)))


@register_jitable(**OPTIONS)
def relative_square(key, top):  # type: ignore[no-untyped-def]
    """square * 4^exponent of a finite key, relative to 2^floor(top), where top is the largest of the keys."""
    power = math.floor(key)
    shift = np.int64(max(power - math.floor(top), NEGLIGIBLE))
    return (1.0 + (key - power)) * np.int64((shift + BIAS) << WIDTH).view(np.float64)


@register_jitable(**OPTIONS)
def log10_root(total, top):  # type: ignore[no-untyped-def]
    """log10 of the root of a sum of relative squares, or of the sum of rows that are not finite."""
    if total == 0.0:
        return -np.inf
    return 0.5 * LOG10_2 * (math.floor(top) + math.log2(total)) if total < np.inf else total


@njit(nogil=True, cache=True, **OPTIONS)
def batch_norms(squares, at, exponents, lengths, keys, totals, norms, first, last):  # type: ignore[no-untyped-def]
    """Write log10 norms over the batch, totals [R, T], plain norms [R, T], and the keys [R*T, B] of all rows.

    squares float64 [R, T, B, 4], of which the column `at` counts, exponents int64 [R, T, B], lengths [R, B]; timesteps
    [first, last) of the R*T. The key of a row beyond its length is inf, so that it is last in ascending order.
    """
    T, B = exponents.shape[1], exponents.shape[2]
    for n in range(first, last):
        r, t = n // T, n % T
        top, total = -np.inf, 0.0
        for b in range(B):
            keys[n, b] = np.inf
            if t < lengths[r, b]:
                key = keys[n, b] = key_of(squares[r, t, b, at], exponents[r, t, b])
                if key < np.inf:
                    top = max(top, key)
                else:
                    total += key
        if top > -np.inf:
            for b in range(B):
                if abs(keys[n, b]) < np.inf:
                    total += relative_square(keys[n, b], top)
        totals[r, t] = log10_root(total, top)
        norms[r, t] = 10.0 ** totals[r, t]


@njit(nogil=True, cache=True, **OPTIONS)
def percentiles(ordered, lengths, totals, percents, out, first, last):  # type: ignore[no-untyped-def]
    """Percentiles [len(percents), R, T] of log10(B * row norm), from keys [R*T, B] in ascending order.

    By linear interpolation; between -inf and a number it is -inf. NaN where the total is, or where no row is alive.
    """
    T, of_batch = totals.shape[1], math.log10(lengths.shape[1])
    for n in range(first, last):
        r, t = n // T, n % T
        alive = 0
        for b in range(lengths.shape[1]):
            alive += t < lengths[r, b]
        for i in range(percents.shape[0]):
            if alive == 0 or math.isnan(totals[r, t]):
                out[i, r, t] = np.nan
                continue
            position = percents[i] / 100 * (alive - 1)
            below = int(position)
            low, weight = log10_of(ordered[n, below]), position - below
            if weight > 0 and low > -np.inf:
                low = low * (1 - weight) + log10_of(ordered[n, below + 1]) * weight
            out[i, r, t] = low + of_batch


@njit(nogil=True, cache=True, **OPTIONS)
def read_out_norms(squares, at, exponents, times, totals, tops):  # type: ignore[no-untyped-def]
    """Write log10 norms over the batch, totals [R, T], of rows [R, S, B] at read-out timesteps `times` [R, S, B] or -1.

    squares [R, S, B, 4], of which the column `at` counts; tops [T] is scratch.
    """
    R, S, B = exponents.shape
    for r in range(R):
        tops[:], totals[r] = -np.inf, 0.0
        for s in range(S):
            for b in range(B):
                t, key = times[r, s, b], key_of(squares[r, s, b, at], exponents[r, s, b])
                if t >= 0 and key < np.inf:
                    tops[t] = max(tops[t], key)
                elif t >= 0:
                    totals[r, t] += key
        for s in range(S):
            for b in range(B):
                t, key = times[r, s, b], key_of(squares[r, s, b, at], exponents[r, s, b])
                if t >= 0 and abs(key) < np.inf:
                    totals[r, t] += relative_square(key, tops[t])
        for t in range(totals.shape[1]):
            totals[r, t] = log10_root(totals[r, t], tops[t])


def summarize(
    squares: Floats,
    at: int,
    exponents: Counts,
    lengths: Counts,
    percents: Floats,
    keys: Floats,
    table: Floats,
    first: int,
    last: int,
) -> None:
    """Fill table [2 + len(percents), R, T] at timesteps [first, last) of the R*T: the norm over the batch, its log10,
    and percentiles of log10(B * row norm) over the rows alive, as `logspace` has them.

    squares [R, T, B, 4], of which the column `at` counts, and exponents [R, T, B] of the rows, lengths [R, B]; keys
    [R*T, B] is scratch.
    """
    batch_norms(squares, at, exponents, lengths, keys, table[1], table[0], first, last)
    keys[first:last].sort(-1)  # numpy's own is vectorized, at 20 rows and at 256
    percentiles(keys, lengths, table[1], percents, table[2:], first, last)


KERNELS = (batch_norms, percentiles, read_out_norms)


def warm() -> None:
    """Compile the kernels, or read them from the disk cache."""
    squares, counts, tables = np.zeros((1, 1, 1, 4)), np.zeros((1, 1, 1), np.int64), np.zeros((3, 1, 1))
    summarize(squares, 0, counts, counts[0], np.full(1, 50.0), np.zeros((1, 1)), tables, 0, 1)
    read_out_norms(squares, 0, counts, counts, tables[0], np.zeros(1))
