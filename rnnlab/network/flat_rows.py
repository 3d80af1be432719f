"""Compiled loops over all parameters of each replica in one row, and over their gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from rnnlab.scan.fast.nonlinearities import OPTIONS
from rnnlab.scan.fast.scaled_rows import sum_of_squares
from rnnlab.scan.fast.weight_gradients import EMPTY

FACTOR = 100
"""`thresholds.FACTOR`. In this file, since Numba compiles anew when it changes, and not when that one does."""


@njit(nogil=True, cache=True, **OPTIONS)
def add_layer(unit, of_x, of_h, of_items, starts, flat, exponents, k):  # type: ignore[no-untyped-def]
    """Add up a layer's weight gradients over the blocks of each replica, in their order.

    of_x [items, I + 1, N] and of_h [items, H + 1, N] at exponents of_items [items], as `WeightSums` has them. Writes
    W_ih, W_hh, b and b_hh to flat [R, P] from the columns `starts` [4] on (-1: there is no b_hh), and their exponent to
    exponents [R, K] at k. With nothing in any block the sum is zero, and its exponent 0.
    """
    R, H = flat.shape[0], of_h.shape[1] - 1
    blocks, I = of_items.shape[0] // R, of_x.shape[1] - 1
    G = (starts[1] - starts[0]) // I
    for r in range(R):
        items = of_items[r * blocks : (r + 1) * blocks]
        top = items.max()
        exponents[r, k] = 0 if top == EMPTY else top
        for block in range(blocks):
            factor = unit * np.float32(math.ldexp(1.0, max(items[block] - top, -126)))
            for i in range(I + 1 + H + 1):
                if i <= I:
                    row, at = of_x[r * blocks + block, i], starts[0] + i * G if i < I else starts[2]
                else:
                    h = i - I - 1
                    row, at = of_h[r * blocks + block, h], starts[1] + h * G if h < H else starts[3]
                if at < 0:
                    continue
                total = flat[r, at : at + G]
                for j in range(G):
                    total[j] = factor * row[j] + (total[j] if block else unit - unit)


@njit(nogil=True, cache=True, **OPTIONS)
def write_plain(unit, flat, edges, exponents, plain, norms, beyond):  # type: ignore[no-untyped-def]
    """Plain values of mantissas flat [R, P], whose columns edges[k] to edges[k + 1] are at exponents [R, K].

    Writes plain [R, P], zero from the last edge on, its L2 norms [R] in float64, and whether an exponent is too far
    from 0 for plain values, beyond [R].
    """
    R, P = flat.shape
    for r in range(R):
        beyond[r] = False
        for k in range(exponents.shape[1]):
            e = exponents[r, k]
            beyond[r] |= abs(e) > FACTOR
            factor = unit * np.float32(math.ldexp(1.0, min(max(e, -FACTOR), FACTOR)))
            for j in range(edges[k], edges[k + 1]):
                plain[r, j] = flat[r, j] * factor
        for j in range(edges[exponents.shape[1]], P):
            plain[r, j] = unit - unit
        norms[r] = math.sqrt(sum_of_squares(plain[r]))


@njit(nogil=True, cache=True, **OPTIONS)
def multiply_rows(rows, factors, least, out):  # type: ignore[no-untyped-def]
    """out [R, P] = rows [R, P] times factors [R], all of one dtype; zero where the size is below `least`. NaN stays."""
    for r in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            value = rows[r, j] * factors[r]
            out[r, j] = value - value if abs(value) < least else value


@njit(nogil=True, cache=True, **OPTIONS)
def norms_of(rows, norms):  # type: ignore[no-untyped-def]
    """Write the L2 norms [R] of rows [R, P], in float64."""
    for r in range(rows.shape[0]):
        norms[r] = math.sqrt(sum_of_squares(rows[r]))


KERNELS = (add_layer, write_plain, multiply_rows, norms_of)


def warm(unit: Any) -> None:
    """Compile the kernels for rows of this dtype, or read them from the disk cache."""
    sums, rows, counts = np.zeros((1, 2, 1), type(unit)), np.zeros((1, 4), type(unit)), np.zeros((1, 1), np.int64)
    add_layer(unit, sums, sums, counts[0], np.arange(4), rows, counts, 0)
    write_plain(unit, rows, np.array([0, 4]), counts, rows.copy(), np.empty(1), np.empty(1, np.bool_))
    multiply_rows(rows, rows[:, 0].copy(), unit, rows.copy())
    norms_of(rows, np.empty(1))
