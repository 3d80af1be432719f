"""Weight gradients, summed over time and batch while the scan goes back: dL/dW_hh = sum_t h_{t-1}^T dgh_t.

Rows are gathered, with their exponents, until a product over them is worth its overhead; then they are brought to the
one exponent of the sums and multiplied in. So the gradients of the pre-activations are never kept whole, and rows that
could no longer change a sum (a vanished gradient) cost nothing at all.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numba.extending import register_jitable

from rnnlab.scan.fast.gemm import add_matmul_transposed, address, copy_panel_row, itemsize, panel_width
from rnnlab.scan.fast.layer_arrays import Counts, Reals
from rnnlab.scan.fast.nonlinearities import OPTIONS
from rnnlab.scan.fast.scaled_rows import (
    NONFINITE_EXPONENT,
    ZERO_EXPONENT,
    clear,
    largest_exponent,
    power_of_two,
    rescale,
    scale,
)
from rnnlab.scan.pointwise import copy
from rnnlab.scan.thresholds import NEGLIGIBLE, ROW

CHUNK = 192
"""Rows that are gathered: their panel of columns stays in the L1 cache."""

EMPTY = -(2**62)
"""The exponent of a sum to which nothing has been added yet."""

LEAST, MOST = np.float32(2.0**-ROW), np.float32(2.0**ROW)

ZERO, FINITE, NONFINITE = 0, 1, 2
"""The kinds of a gathered row: exactly zero, finite, or with an entry that is not finite."""


class Gathered(NamedTuple):
    """Room for the rows of some timesteps, until they are added to the sums; n rows of a block a timestep."""

    dgx: Reals
    """[timesteps, gates, n * H]: gradients of the input pre-activations."""
    dgh: Reals
    """The same of the recurrent ones; it is dgx itself for a rule without `own_dgh`."""
    inputs: Reals
    """[timesteps * n, I + 1]: x_t and, in the last column, ones: so a product's last row is the bias's gradient."""
    states: Reals
    """[timesteps * n, H + 1]: h_{t-1}, and ones."""
    exponents: Counts
    """[timesteps * n], of the rows of dgx and dgh."""
    kinds: Counts
    """[timesteps * n]: ZERO, FINITE or NONFINITE."""
    sizes: Counts
    """[timesteps * n]: scratch for the exponents of what the rows add."""
    columns: Reals
    """[timesteps * n + 1, panel_width]: scratch for a packed panel."""


@register_jitable(**OPTIONS)
def pre_activations(timesteps, gates, numbers, unit):  # type: ignore[no-untyped-def]
    """Zeros [timesteps, gates, numbers] with a panel's width behind them, because panels are copied whole."""
    size = timesteps * gates * numbers
    return np.zeros(size + panel_width(unit), type(unit))[:size].reshape(timesteps, gates, numbers)


@register_jitable(**OPTIONS)
def room_for(n, gates, H, I, own_dgh, unit):  # type: ignore[no-untyped-def]
    """Room for some CHUNK rows, at least for one timestep of n."""
    timesteps = max(CHUNK // n, 1)
    rows, dtype = timesteps * n, type(unit)
    dgx = pre_activations(timesteps, gates, n * H, unit)
    dgh = pre_activations(timesteps if own_dgh else 0, gates, n * H, unit)
    if not own_dgh:
        dgh = dgx
    inputs, states = np.ones((rows, I + 1), dtype), np.ones((rows, H + 1), dtype)
    exponents, kinds, sizes = np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    columns = np.zeros((rows + 1, panel_width(unit)), dtype)
    return Gathered(dgx, dgh, inputs, states, exponents, kinds, sizes, columns)


@register_jitable(**OPTIONS)
def gather_states(gathered, timestep, states, inputs):  # type: ignore[no-untyped-def]
    """Copy the states h_{t-1} [n, H] and inputs x_t [n, I] of a block to a timestep's room."""
    n, H, I = states.shape[0], states.shape[1], inputs.shape[1]
    for k in range(n):
        copy(states[k], gathered.states[timestep * n + k, :H])
        copy(inputs[k], gathered.inputs[timestep * n + k, :I])


@register_jitable(**OPTIONS)
def is_near_one(row):  # type: ignore[no-untyped-def]
    """Whether one of the first 8 entries of a row is within 2^-ROW and 2^ROW: for most rows this is enough."""
    near = False
    for j in range(min(row.shape[0], 8)):
        near |= LEAST < abs(row[j]) < MOST
    return near


@register_jitable(**OPTIONS)
def normalize_row(dgx, dgh, own_dgh, n, k, e, unit):  # type: ignore[no-untyped-def]
    """Rescale row k of dgx [gates, n * H] (and of dgh) if it is far from 1; returns its exponent, from e, and its kind.

    The row's own entries decide, not dL/dh: a saturated unit passes on far less than it receives, and its exponent
    alone would raise that of the sums above rows that count.
    """
    H, top = dgx.shape[1] // n, ZERO_EXPONENT
    if is_near_one(dgx[0, k * H : (k + 1) * H]):
        return e, FINITE
    for g in range(dgx.shape[0]):
        top = max(top, largest_exponent(dgx[g, k * H : (k + 1) * H]))
    if top == ZERO_EXPONENT:
        return e, ZERO
    if top == NONFINITE_EXPONENT:
        return e, NONFINITE
    if abs(top) > ROW:
        for g in range(dgx.shape[0]):
            rescale(dgx[g, k * H : (k + 1) * H], -top, unit)
            if own_dgh:
                rescale(dgh[g, k * H : (k + 1) * H], -top, unit)
        e += top
    return e, FINITE


@register_jitable(**OPTIONS)
def normalize_gathered(gathered, timestep, own_dgh, e, unit):  # type: ignore[no-untyped-def]
    """Normalize the rows of a timestep, from exponents e [n], and note their exponents and kinds."""
    n = e.shape[0]
    dgx, dgh = gathered.dgx[timestep], gathered.dgh[timestep]
    for k in range(n):
        s = timestep * n + k
        gathered.exponents[s], gathered.kinds[s] = normalize_row(dgx, dgh, own_dgh, n, k, e[k], unit)


@register_jitable(**OPTIONS)
def common_exponent(gathered, count, e):  # type: ignore[no-untyped-def]
    """The exponent that the sums need for the first `count` rows: at least e; EMPTY where they would change nothing.

    Writes to `sizes` the exponents of what the rows add. A row adds h^T d and x^T d: with states that grow, that may
    stay the same while d vanishes.
    """
    states, inputs, sizes, kinds = gathered.states, gathered.inputs, gathered.sizes, gathered.kinds
    top, any_nonfinite = EMPTY, False
    bounded = max(largest_exponent(states.reshape(states.size)), largest_exponent(inputs.reshape(inputs.size))) <= ROW
    for s in range(count):
        if kinds[s] == FINITE:
            sizes[s] = gathered.exponents[s]
            if not bounded:
                sizes[s] += max(largest_exponent(states[s]), largest_exponent(inputs[s]))
            top = max(top, sizes[s])
        any_nonfinite |= kinds[s] == NONFINITE
    if any_nonfinite:  # it has to reach the sum, whatever its exponent
        return max(top, e, 0)
    return EMPTY if top == EMPTY or top < e + NEGLIGIBLE else max(e, top)


@register_jitable(**OPTIONS)
def align_rows(rows, gathered, count, e, unit):  # type: ignore[no-untyped-def]
    """Rescale rows [count, N] to the exponent e of the sums; zero where they would change nothing."""
    exponents, kinds, sizes = gathered.exponents, gathered.kinds, gathered.sizes
    for s in range(count):
        if kinds[s] == ZERO or (kinds[s] == FINITE and sizes[s] < e + NEGLIGIBLE):
            clear(rows[s])
        elif kinds[s] == FINITE:
            rescale(rows[s], exponents[s] - e, unit)


@register_jitable
def segments(j, n, gates, H, width, source_offsets, target_offsets):  # type: ignore[no-untyped-def]
    """Where columns j, j+1, ... of a panel lie in a timestep's array [gates * n * H], as contiguous segments.

    Writes their offsets in that array and in the panel's row; returns how many there are.
    """
    count, done = 0, 0
    while done < width and j < gates * H:
        source_offsets[count], target_offsets[count] = (j // H) * n * H + j % H, done
        length = min(H - j % H, width - done)
        count, done, j = count + 1, done + length, j + length
    return count


@register_jitable(**OPTIONS)
def add_products(unit, n, timesteps, d, before, W_hh, x, W_ih, columns):  # type: ignore[no-untyped-def]
    """W_hh += before^T d and W_ih += x^T d, over n rows of each gathered timestep.

    d [timesteps, gates, n * H] with a panel's width of room behind it, before [rows, H'], x [rows, I'], W_hh [H', N],
    W_ih [I', N]; columns [rows + 1, panel_width] is scratch.
    """
    gates, H = d.shape[1], d.shape[2] // n
    N, size, width = W_hh.shape[1], itemsize(unit), panel_width(unit)
    source_offsets, target_offsets = np.empty(width, np.int64), np.empty(width, np.int64)
    for j in range(0, N, width):
        count = segments(j, n, gates, H, width, source_offsets, target_offsets)
        for t in range(timesteps):
            for k in range(n):
                # A panel's width is copied each time; what is too much is overwritten by the next segment or row.
                source, target = address(d[t]) + k * H * size, address(columns[t * n + k])
                for s in range(count):
                    copy_panel_row(unit, source + source_offsets[s] * size, target + target_offsets[s] * size)
        w, rows, packed = min(width, N - j), timesteps * n, address(columns)
        hh, ih = address(W_hh) + j * size, address(W_ih) + j * size
        add_matmul_transposed(unit, W_hh.shape[0], w, rows, address(before), packed, hh, N)
        add_matmul_transposed(unit, W_ih.shape[0], w, rows, address(x), packed, ih, N)


@register_jitable
def raise_exponent(sums, by, unit):  # type: ignore[no-untyped-def]
    """Rescale sums [K, N] to an exponent that is larger by so much; empty sums are zero, and stay so."""
    if by > 0:
        for k in range(sums.shape[0]):
            scale(sums[k], power_of_two(unit, -by))


@register_jitable(**OPTIONS)
def add_gathered(gathered, timesteps, n, own_dgh, sum_ih, sum_hh, e, unit):  # type: ignore[no-untyped-def]
    """Add n rows of each gathered timestep to sum_ih [I + 1, N] and sum_hh [H + 1, N], both at exponent e.

    Returns the exponent of both after that. The last column of states and inputs is ones again afterwards.
    """
    count, states, inputs, columns = timesteps * n, gathered.states, gathered.inputs, gathered.columns
    common = common_exponent(gathered, count, e)
    if common == EMPTY:
        return e
    raise_exponent(sum_hh, common - e, unit)
    raise_exponent(sum_ih, common - e, unit)
    align_rows(states, gathered, count, common, unit)
    align_rows(inputs, gathered, count, common, unit)
    if own_dgh:
        add_products(unit, n, timesteps, gathered.dgh, states, sum_hh, inputs[:, :0], sum_ih[:0], columns)
        add_products(unit, n, timesteps, gathered.dgx, states[:, :0], sum_hh[:0], inputs, sum_ih, columns)
    else:
        add_products(unit, n, timesteps, gathered.dgx, states, sum_hh, inputs, sum_ih, columns)
    for s in range(count):
        states[s, states.shape[1] - 1] = inputs[s, inputs.shape[1] - 1] = unit
    return common


@njit(nogil=True, cache=True, **OPTIONS)
def add_blocks(unit, of_blocks, exponents, out, out_exponents):  # type: ignore[no-untyped-def]
    """Add the sums of a replica's blocks in their order: of_blocks [R, blocks, K, N'] at exponents [R, blocks].

    Writes out [R, K, N] and out_exponents [R]. With nothing in any block the sum is zero, and its exponent 0.
    """
    R, blocks, K, _ = of_blocks.shape
    for r in range(R):
        top = exponents[r].max()
        out_exponents[r] = 0 if top == EMPTY else top
        for block in range(blocks):
            factor = unit * np.float32(math.ldexp(1.0, max(exponents[r, block] - top, -126)))
            for k in range(K):
                row, total = of_blocks[r, block, k], out[r, k]
                for j in range(total.shape[0]):
                    total[j] = factor * row[j] + (total[j] if block else unit - unit)
