"""Weight gradients, summed over time and batch while the scan goes back: dL/dW_hh = sum_t h_{t-1}^T dgh_t.

Rows are gathered, with their exponents, until a product over them is worth its overhead; then they are brought to the
one exponent of the sums and multiplied in. So the gradients of the pre-activations are never kept whole, and rows that
could no longer change a sum (a vanished gradient) cost nothing at all.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numba.extending import register_jitable

from rnnlab.scan.products import OPTIONS, add_transposed, address, move, panel, size_of
from rnnlab.scan.rows import NEGLIGIBLE, power_of_two, scale

CHUNK = 192
"""Rows that are gathered: their panel of columns stays in the L1 cache."""

NONE = -(2**62)
"""The exponent of a sum to which nothing has been added yet."""

DEAD, ALIVE, BROKEN = 0, 1, 2
"""A gathered row: exactly zero, a number, or not finite."""


@register_jitable
def condition(size):  # type: ignore[no-untyped-def]
    """Which of the three a row with this squared norm is."""
    if size == 0.0:
        return DEAD
    return ALIVE if size < np.inf else BROKEN


@register_jitable(**OPTIONS)
def factors(one, count, exponents, conditions, e, into):  # type: ignore[no-untyped-def]
    """What brings each of the gathered rows to the exponent of the sums, which may rise to the rows'.

    Returns that exponent, or NONE where the rows would change nothing.
    """
    top, broken = NONE, False
    for s in range(count):
        if conditions[s] == ALIVE:
            top = max(top, exponents[s])
        broken |= conditions[s] == BROKEN
    if broken:  # it has to reach the sum, whatever its exponent
        top = max(top, e, 0)
    if top == NONE or top < e + NEGLIGIBLE:
        return NONE
    e = max(e, top)
    for s in range(count):
        into[s] = power_of_two(one, exponents[s] - e) if conditions[s] == ALIVE else one - one
        if conditions[s] == BROKEN:
            into[s] = one
    return e


@register_jitable
def runs(j, n, gates, H, width, begin, into):  # type: ignore[no-untyped-def]
    """Where a panel's columns j, j+1, ... lie in a timestep's [gates * n * H]: the pieces' begins, and their places."""
    count, done = 0, 0
    while done < width and j < gates * H:
        begin[count], into[count] = (j // H) * n * H + j % H, done
        run = min(H - j % H, width - done)
        count, done, j = count + 1, done + run, j + run
    return count


@register_jitable(**OPTIONS)
def multiply(one, n, timesteps, gates, d, before, W_hh, x, W_ih, columns):  # type: ignore[no-untyped-def]
    """W_hh += before^T d and W_ih += x^T d, over n rows of each gathered timestep.

    d [timesteps, gates * n * H] with a panel's room behind it, before [rows, H'], x [rows, I'], W_hh [H', N],
    W_ih [I', N]; columns [rows + 1, PANEL] is scratch.
    """
    N, H, size, width = W_hh.shape[1], d.shape[1] // (gates * n), size_of(one), panel(one)
    begin, into = np.empty(width, np.int64), np.empty(width, np.int64)
    for j in range(0, N, width):
        pieces = runs(j, n, gates, H, width, begin, into)
        for t in range(timesteps):
            for k in range(n):
                # Whole panels are moved; what is too much is overwritten by the next piece or row.
                source, target = address(d[t]) + k * H * size, address(columns[t * n + k])
                for piece in range(pieces):
                    move(one, source + begin[piece] * size, target + into[piece] * size)
        w, count, packed = min(width, N - j), timesteps * n, address(columns)
        hh, ih = address(W_hh) + j * size, address(W_ih) + j * size
        add_transposed(one, W_hh.shape[0], w, count, address(before), packed, hh, N)
        add_transposed(one, W_ih.shape[0], w, count, address(x), packed, ih, N)


@register_jitable
def scale_rows(rows, count, by):  # type: ignore[no-untyped-def]
    """Row s times by[s], for the first `count` rows."""
    for s in range(count):
        if by[s] != 1:
            scale(rows[s], by[s])


@register_jitable
def rise(sums, by, one):  # type: ignore[no-untyped-def]
    """Bring sums [K, N] to an exponent that is larger by so much; empty sums are zero, and stay so."""
    if by > 0:
        for k in range(sums.shape[0]):
            scale(sums[k], power_of_two(one, -by))


@njit(nogil=True, cache=True, **OPTIONS)
def add_blocks(one, parts, exponents, out, out_exponents):  # type: ignore[no-untyped-def]
    """The sums of a replica's blocks, in their order: parts [R, blocks, K, N'] at exponents [R, blocks], to [R, K, N].

    With nothing in any block the sum is zero, and its exponent 0.
    """
    R, blocks, K, _ = parts.shape
    for r in range(R):
        top = exponents[r].max()
        out_exponents[r] = 0 if top == NONE else top
        for block in range(blocks):
            factor = one * np.float32(math.ldexp(1.0, max(exponents[r, block] - top, -126)))
            for k in range(K):
                row, into = parts[r, block, k], out[r, k]
                for j in range(into.shape[0]):
                    into[j] = factor * row[j] + (into[j] if block else one - one)
