"""The pieces of one timestep of the compiled scan, on a block of n rows of one replica's batch.

Inside a block the rows of each gate are contiguous: pre-activations are [gates * n * H], states [n * H].
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable

from rnnlab.scan.fast.gemm import address, matmul, pack, panel_width
from rnnlab.scan.fast.nonlinearities import OPTIONS
from rnnlab.scan.fast.scaled_rows import accumulate, clamp, clear, clear_all, normalize, sum_of_squares
from rnnlab.scan.pointwise import copy
from rnnlab.scan.thresholds import ANY_FLOAT64, BEYOND_FLOAT32


@register_jitable(**OPTIONS)
def saved_of_block(states, width, r, first, last):  # type: ignore[no-untyped-def]
    """The part of `saved` that belongs to a block of rows: [T, width * n * H]."""
    T, B, H, n = states.hs.shape[1] - 1, states.hs.shape[2], states.hs.shape[3], last - first
    begin = (r * B + first) * T * width * H
    return states.saved[begin : begin + n * T * width * H].reshape(T, n * width * H)


@register_jitable(**OPTIONS)
def gate_major(rows, n, gates, H, out):  # type: ignore[no-untyped-def]
    """Copy rows of pre-activations [n, gates * H and more] to out [gates * n * H]."""
    for g in range(gates):
        for k in range(n):
            at = (g * n + k) * H
            copy(rows[k, g * H : (g + 1) * H], out[at : at + H])


@register_jitable(**OPTIONS)
def pack_whole(W, unit):  # type: ignore[no-untyped-def]
    """W [K, N] packed in panels [panels, K, panel_width]."""
    width = panel_width(unit)
    packed = np.empty((-(-W.shape[1] // width), W.shape[0], width), W.dtype)
    pack(W, packed, unit)
    return packed


@register_jitable(**OPTIONS)
def pack_transposed(W, gates, unit):  # type: ignore[no-untyped-def]
    """The transpose of each gate of W [K, gates * H] packed in panels: [gates, panels, H, panel_width]."""
    width, H = panel_width(unit), W.shape[1] // gates
    packed = np.empty((gates, -(-W.shape[0] // width), H, width), W.dtype)
    for g in range(gates):
        pack(W[:, g * H : (g + 1) * H].T, packed[g], unit)
    return packed


@register_jitable(**OPTIONS)
def matmul_gates(unit, n, N, block, packed, zeros, out):  # type: ignore[no-untyped-def]
    """out [n, N] = sum over gates of block [gates, n * H] times the packed W^T [H, N] of the gate; zeros [N]."""
    gates, H = packed.shape[0], packed.shape[2]
    start, row = address(zeros), np.int64(0)
    for g in range(gates):
        rows = address(block[g * n * H :])
        matmul(unit, n, N, H, rows, address(packed[g]), start, row, address(out))
        start, row = address(out), N


@register_jitable(**OPTIONS)
def row_view(block, count, n, k):  # type: ignore[no-untyped-def]
    """Row k of a block [count * n * H], as a view [count, H].

    Numba does not know that a row of it is contiguous. A loop over one adds up in another order than a loop over a
    slice of the block, which it knows to be contiguous, and so in other last bits.
    """
    return block.reshape(count, n, block.shape[0] // (count * n))[:, k]


@register_jitable(**OPTIONS)
def clear_ended(hs, cs, lengths, t):  # type: ignore[no-untyped-def]
    """Set to zero the states hs [n, H] and cs [n, C] after timestep t of rows whose length [n] is at most t."""
    for k in range(hs.shape[0]):
        if t >= lengths[k]:
            clear(hs[k])
            clear(cs[k])


@register_jitable(**OPTIONS)
def add_upstream(upstream, lengths, dh, dc, e, unit, r, t, first):  # type: ignore[no-untyped-def]
    """Add what arrives at timestep t to dh [n * H], dc [n * C], exponents e [n]; returns whether anything arrived."""
    n, any_did = e.shape[0], False
    C = dc.shape[0] // n
    for k in range(n):
        if upstream.last_c.shape[1] > 0 and t == lengths[r, first + k] - 1:
            any_did = True
            # A sequence begins here, so there is nothing yet to add it to.
            copy(upstream.last_c[r, first + k], dc[k * C : (k + 1) * C])
            e[k] = upstream.last_exponents[r, first + k]
        slot = upstream.slots[r, t, first + k]
        if slot >= 0:
            any_did = True
            row, e_row = upstream.rows[r, slot, first + k], upstream.exponents[r, slot, first + k]
            e[k] = accumulate(row_view(dh, 1, n, k)[0], row_view(dc, 1, n, k)[0], e[k], row, e_row, unit)
    return any_did


@register_jitable(**OPTIONS)
def read_zeros(adjoint, r, t, first, last):  # type: ignore[no-untyped-def]
    """The adjoint of a timestep that no gradient reaches."""
    for row in range(first, last):
        clear(adjoint.exponents[r, t, row : row + 1])
        clear(adjoint.squares[r, t, row])
        if adjoint.dx.shape[1] > 0:
            clear(adjoint.dx[r, t, row])


@register_jitable(**OPTIONS)
def write_first(adjoint, dh, dc, e, r, first):  # type: ignore[no-untyped-def]
    """Write what reaches the initial states: dh [n * H] and dc [n * C] at exponents e [n]."""
    n = e.shape[0]
    H, C = dh.shape[0] // n, dc.shape[0] // n
    for k in range(n):
        copy(dh[k * H : (k + 1) * H], adjoint.first_h[r, first + k])
        copy(dc[k * C : (k + 1) * C], adjoint.first_c[r, first + k])
        adjoint.first_exponents[r, first + k] = e[k]


@register_jitable(**OPTIONS)
def normalize_block(dh, dc, e, squares, unit):  # type: ignore[no-untyped-def]
    """Normalize each row of dh [n * H] and dc [n * C] with exponents e [n]; write |dh|^2 to squares [n, 4]."""
    n = e.shape[0]
    H, C = dh.shape[0] // n, dc.shape[0] // n
    for k in range(n):
        e[k], squares[k, 0] = normalize(dh[k * H : (k + 1) * H], dc[k * C : (k + 1) * C], e[k], unit)


@register_jitable(**OPTIONS)
def clip_row(d, own, own_d, bound, e, squares, limit):  # type: ignore[no-untyped-def]
    """Clamp a row's pre-activation gradients d [gates, H] (and own_d, where `own`) to the bound, in true values.

    Writes their squared norms before and after to squares [4]; limit [1] is scratch. Returns how many entries of d were
    beyond the bound.
    """
    limit[0] = min(math.ldexp(bound, -min(max(e, -ANY_FLOAT64), ANY_FLOAT64)), BEYOND_FLOAT32)
    squares[2], squares[3], count = 0.0, 0.0, 0
    for g in range(d.shape[0]):
        squares[2] += sum_of_squares(d[g])
        count += clamp(d[g], limit[0])
        squares[3] += sum_of_squares(d[g])
        if own:
            clamp(own_d[g], limit[0])
    return count


@register_jitable(**OPTIONS)
def clear_row(dgx, dgh, dh_prev, dc_prev, gates, n, k):  # type: ignore[no-untyped-def]
    """Set to zero what row k passes back: it stands beyond its sequence."""
    H, C = dh_prev.shape[0] // n, dc_prev.shape[0] // n
    clear_all(row_view(dgx, gates, n, k))
    clear_all(row_view(dgh, gates, n, k))
    clear(dh_prev[k * H : (k + 1) * H])
    clear(dc_prev[k * C : (k + 1) * C])
