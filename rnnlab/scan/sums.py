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

from rnnlab.scan.compiled import OPTIONS
from rnnlab.scan.products import add_transposed, address, move, panel, size_of
from rnnlab.scan.rows import BEYOND, NEAR, NEGLIGIBLE, ZERO, clear, power_of_two, rescale, scale, top_exponent

CHUNK = 192
"""Rows that are gathered: their panel of columns stays in the L1 cache."""

NONE = -(2**62)
"""The exponent of a sum to which nothing has been added yet."""

LEAST, MOST = np.float32(2.0**-NEAR), np.float32(2.0**NEAR)

DEAD, ALIVE, BROKEN = 0, 1, 2
"""A gathered row: exactly zero, a number, or not finite."""


@register_jitable(**OPTIONS)
def is_near(row):  # type: ignore[no-untyped-def]
    """Whether one of the first entries is near 1: most rows show it at once."""
    found = False
    for j in range(min(row.shape[0], 8)):
        found |= LEAST < abs(row[j]) < MOST
    return found


@register_jitable(**OPTIONS)
def settle(dgx, dgh, own_dgh, n, k, e, one):  # type: ignore[no-untyped-def]
    """Bring row k of dgx [gates, n * H] (and dgh) near 1 if it is far from it; its exponent then, and what it is.

    By its own size, not that of dL/dh: a saturated unit passes on far less than it is given, and would otherwise raise
    the exponent of the sums above rows that count.
    """
    H, top = dgx.shape[1] // n, ZERO
    if is_near(dgx[0, k * H : (k + 1) * H]):
        return e, ALIVE
    for g in range(dgx.shape[0]):
        top = max(top, top_exponent(dgx[g, k * H : (k + 1) * H]))
    if top == ZERO:
        return e, DEAD
    if top == BEYOND:
        return e, BROKEN
    if abs(top) > NEAR:
        for g in range(dgx.shape[0]):
            rescale(dgx[g, k * H : (k + 1) * H], -top, one)
            if own_dgh:
                rescale(dgh[g, k * H : (k + 1) * H], -top, one)
        e += top
    return e, ALIVE


@register_jitable(**OPTIONS)
def weigh(states, inputs, count, exponents, conditions, e, sizes):  # type: ignore[no-untyped-def]
    """The exponents of what rows add to the sums, in sizes [count], and that of the sums with them; NONE if too little.

    A row adds h^T d and x^T d: with states that grow, what is added may stay the same while d vanishes.
    """
    top, broken = NONE, False
    bounded = max(top_exponent(states.reshape(states.size)), top_exponent(inputs.reshape(inputs.size))) <= NEAR
    for s in range(count):
        if conditions[s] == ALIVE:
            sizes[s] = exponents[s]
            if not bounded:
                sizes[s] += max(top_exponent(states[s]), top_exponent(inputs[s]))
            top = max(top, sizes[s])
        broken |= conditions[s] == BROKEN
    if broken:  # it has to reach the sum, whatever its exponent
        return max(top, e, 0)
    return NONE if top == NONE or top < e + NEGLIGIBLE else max(e, top)


@register_jitable(**OPTIONS)
def bring(rows, count, exponents, conditions, sizes, e, one):  # type: ignore[no-untyped-def]
    """Rows [count, N] to the exponent e of the sums; zero where they would change nothing."""
    for s in range(count):
        if conditions[s] == DEAD or (conditions[s] == ALIVE and sizes[s] < e + NEGLIGIBLE):
            clear(rows[s])
        elif conditions[s] == ALIVE:
            rescale(rows[s], exponents[s] - e, one)


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
def multiply(one, n, timesteps, d, before, W_hh, x, W_ih, columns):  # type: ignore[no-untyped-def]
    """W_hh += before^T d and W_ih += x^T d, over n rows of each gathered timestep.

    d [timesteps, gates, n * H] with a panel's room behind it, before [rows, H'], x [rows, I'], W_hh [H', N],
    W_ih [I', N]; columns [rows + 1, PANEL] is scratch.
    """
    gates, H = d.shape[1], d.shape[2] // n
    N, size, width = W_hh.shape[1], size_of(one), panel(one)
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
def rise(sums, by, one):  # type: ignore[no-untyped-def]
    """Bring sums [K, N] to an exponent that is larger by so much; empty sums are zero, and stay so."""
    if by > 0:
        for k in range(sums.shape[0]):
            scale(sums[k], power_of_two(one, -by))


@register_jitable(**OPTIONS)
def add_gathered(  # type: ignore[no-untyped-def]
    one, n, timesteps, own_dgh, dgx, dgh, states, inputs, exponents, conditions, sizes, columns, sum_hh, sum_ih, e
):
    """Add the gathered rows of all timesteps to the sums at exponent e; their exponent then.

    dgx, dgh [timesteps, gates, n * H]; states [rows, H + 1] and inputs [rows, I + 1], whose last column is ones again
    afterwards: so the last rows of the sums [H + 1, N] and [I + 1, N] are the gradients of the biases.
    """
    count = timesteps * n
    common = weigh(states, inputs, count, exponents, conditions, e, sizes)
    if common == NONE:
        return e
    rise(sum_hh, common - e, one)
    rise(sum_ih, common - e, one)
    bring(states, count, exponents, conditions, sizes, common, one)
    bring(inputs, count, exponents, conditions, sizes, common, one)
    if own_dgh:
        multiply(one, n, timesteps, dgh, states, sum_hh, inputs[:, :0], sum_ih[:0], columns)
        multiply(one, n, timesteps, dgx, states[:, :0], sum_hh[:0], inputs, sum_ih, columns)
    else:
        multiply(one, n, timesteps, dgx, states, sum_hh, inputs, sum_ih, columns)
    for s in range(count):
        states[s, states.shape[1] - 1] = inputs[s, inputs.shape[1] - 1] = one
    return common


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
