"""The compiled scan: one loop over time, forward and back, written once with a cell's rule inside it.

A call works on one replica and a block of rows of its batch, over all timesteps: rows never meet inside a scan, so
blocks run on threads of their own without waiting for each other, and a block's state stays in cache. Going back, each
row carries dL/dh_t (and dL/dc_t) with an exponent of its own (`rows.py`).
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import njit
from numba.extending import register_jitable

from rnnlab.scan import pointwise
from rnnlab.scan.fast import gemm as products
from rnnlab.scan.fast import nonlinearities as compiled
from rnnlab.scan.fast import scaled_rows as rows
from rnnlab.scan.fast import weight_gradients as sums
from rnnlab.scan.fast.gemm import address, matmul, pack, padded_width, panel_width
from rnnlab.scan.fast.scaled_rows import accumulate, add_to, clamp, clear, clear_all, normalize, sum_of_squares
from rnnlab.scan.fast.weight_gradients import CHUNK, EMPTY, add_gathered, normalize_row
from rnnlab.scan.pointwise import copy
from rnnlab.scan.rule import Rule

SQUARES = ("h", "c", "a", "a_clipped")
"""Places in the last axis of `squares`: dL/dh_t, dL/dc_t, dL/da_t before and after the adjoint clip."""


class Kernels(NamedTuple):
    """The two compiled loops of one rule."""

    forward: Callable[..., None]
    backward: Callable[..., None]


@register_jitable(**compiled.OPTIONS)
def saved_of_block(saved, T, width, r, B, first, last, H):  # type: ignore[no-untyped-def]
    """What a block of rows saves, [T, width * n * H]: blocks lie one after another, so that each is one piece."""
    source_offsets = (r * B + first) * T * width * H
    n = last - first
    return saved[source_offsets : source_offsets + n * T * width * H].reshape(T, n * width * H)


@register_jitable(**compiled.OPTIONS)
def gate_major(rows, n, gates, H, block):  # type: ignore[no-untyped-def]
    """Rows of pre-activations [n, gates * H and more] to [gates * n * H], so that a gate of all rows is one piece."""
    for g in range(gates):
        for k in range(n):
            at = (g * n + k) * H
            copy(rows[k, g * H : (g + 1) * H], block[at : at + H])


@register_jitable(**compiled.OPTIONS)
def pack_gates(W, packed, unit):  # type: ignore[no-untyped-def]
    """W [K, gates * H] to the packed transposes of its gates, [gates, panels, H, PANEL]."""
    gates, H = packed.shape[0], packed.shape[2]
    for g in range(gates):
        pack(W[:, g * H : (g + 1) * H].T, packed[g], unit)


@register_jitable(**compiled.OPTIONS)
def matmul_gates(unit, n, N, block, packed, zeros, out):  # type: ignore[no-untyped-def]
    """out [n, N] = sum over gates of (block of a gate [n, H]) times its packed W^T [H, N]."""
    gates, H = packed.shape[0], packed.shape[2]
    start, row = address(zeros), np.int64(0)
    for g in range(gates):
        rows = address(block[g * n * H :])
        matmul(unit, n, N, H, rows, address(packed[g]), start, row, address(out))
        start, row = address(out), N


@register_jitable(**compiled.OPTIONS)
def gather_buffer(timesteps, gates, numbers, unit):  # type: ignore[no-untyped-def]
    """Room for the gradients of some timesteps' pre-activations, with a panel's width behind them to read into."""
    room = np.zeros(timesteps * gates * numbers + panel_width(unit), type(unit))
    return room[: timesteps * gates * numbers].reshape(timesteps, gates, numbers)


@register_jitable(**compiled.OPTIONS)
def row_view(block, pieces, n, k):  # type: ignore[no-untyped-def]
    """Views of row k's pieces of a block [pieces * n * H]: [pieces, H]."""
    return block.reshape(pieces, n, block.shape[0] // (pieces * n))[:, k]


@register_jitable(**compiled.OPTIONS)
def add_arriving(slots, arriving, exponents, dh, dc, e, unit, r, t, first):  # type: ignore[no-untyped-def]
    """Add what arrives at timestep t to the block's rows; whether anything did."""
    n, any_did = e.shape[0], False
    for k in range(n):
        slot = slots[r, t, first + k]
        if slot >= 0:
            any_did = True
            rows, e_row = arriving[r, slot, first + k], exponents[r, slot, first + k]
            e[k] = accumulate(row_view(dh, 1, n, k)[0], row_view(dc, 1, n, k)[0], e[k], rows, e_row, unit)
    return any_did


@register_jitable(**compiled.OPTIONS)
def clip_row(d, own, own_d, bound, e, reading, limit):  # type: ignore[no-untyped-def]
    """Clamp a row's pre-activation gradients d [gates, H] (and, where it has them, own_d) to the bound at its exponent.

    Their squares before and after go to `reading`; returns how many entries were beyond the bound.
    """
    limit[0] = min(math.ldexp(bound, -min(max(e, -1000), 1000)), 3e38)  # a bound beyond the format clamps nothing
    reading[2], reading[3], count = 0.0, 0.0, 0
    for g in range(d.shape[0]):
        reading[2] += sum_of_squares(d[g])
        count += clamp(d[g], limit[0])
        reading[3] += sum_of_squares(d[g])
        if own:
            clamp(own_d[g], limit[0])
    return count


@functools.cache
def kernels(rule: Rule) -> Kernels:
    """Compile (or read from the disk cache) the scan with this rule inside."""
    step_forward = register_jitable(**compiled.OPTIONS)(rule.forward)
    step_backward = register_jitable(**compiled.OPTIONS)(rule.backward)
    own_dgh, width, gates = rule.own_dgh, rule.width, rule.gates
    stamp = source_stamp(rule)

    @njit(nogil=True, cache=True, **compiled.OPTIONS)
    def forward(  # type: ignore[no-untyped-def]
        unit, x, shift, W_ih, b, W_hh, b_hh, lengths, hs, cs, saved, r, first, last
    ):
        stamp  # noqa: B018  part of the key of the disk cache
        T, B, n = hs.shape[1] - 1, hs.shape[2], last - first
        I, H, G, C = W_ih.shape[1], W_hh.shape[1], W_hh.shape[2], cs.shape[3]
        N, panels, dtype = padded_width(G, unit), -(-G // panel_width(unit)), hs.dtype
        saved_block = saved_of_block(saved, T, width, r, B, first, last, H)
        packed_ih, packed_hh = (
            np.empty((panels, I, panel_width(unit)), dtype),
            np.empty((panels, H, panel_width(unit)), dtype),
        )
        pack(W_ih[r], packed_ih, unit)
        pack(W_hh[r], packed_hh, unit)
        biases, ax, ah = np.zeros((2, N), dtype), np.empty((n, N), dtype), np.empty((n, N), dtype)
        gx, gh = np.zeros(n * G, dtype), np.zeros(n * G, dtype)
        copy(b[r], biases[0, :G])
        copy(b_hh[r], biases[1, :G])
        start, start_row = address(biases[1]), 0
        if not own_dgh:  # only their sum counts
            add_to(biases[0], biases[1])
            start, start_row = address(ax), N
        for t in range(T):
            inputs, before = address(x[r, t + shift, first:last]), hs[r, t, first:last]
            matmul(unit, n, N, I, inputs, address(packed_ih), address(biases), 0, address(ax))
            matmul(unit, n, N, H, address(before), address(packed_hh), start, start_row, address(ah))
            if own_dgh:
                gate_major(ax, n, gates, H, gx)
            gate_major(ah, n, gates, H, gh)
            h, c = hs[r, t + 1, first:last].reshape(n * H), cs[r, t + 1, first:last].reshape(n * C)
            step_forward(gx, gh, before.reshape(n * H), cs[r, t, first:last].reshape(n * C), h, c, saved_block[t], unit)
            for k in range(n):
                if t >= lengths[r, first + k]:
                    clear(hs[r, t + 1, first + k])
                    clear(cs[r, t + 1, first + k])

    @njit(nogil=True, cache=True, **compiled.OPTIONS)
    def backward(  # type: ignore[no-untyped-def]
        unit, x, shift, hs, cs, saved, W_ih, W_hh, lengths, slots, arriving, e_arriving, bounds,
        dx, exponents, squares, clipped, dW_ih, dW_hh, e_sums, item, r, first, last,
    ):  # fmt: skip
        stamp  # noqa: B018
        T, B, n = hs.shape[1] - 1, hs.shape[2], last - first
        I, H, G, C = W_ih.shape[1], W_hh.shape[1], W_hh.shape[2], cs.shape[3]
        M, L, passes_on, dtype = padded_width(H, unit), padded_width(I, unit), dx.shape[1] > 0, hs.dtype
        saved_block = saved_of_block(saved, T, width, r, B, first, last, H)
        packed_hh = np.empty((gates, -(-H // panel_width(unit)), H, panel_width(unit)), dtype)
        packed_ih = np.empty((gates, -(-I // panel_width(unit)) if passes_on else 0, H, panel_width(unit)), dtype)
        pack_gates(W_hh[r], packed_hh, unit)
        if passes_on:
            pack_gates(W_ih[r], packed_ih, unit)
        zeros, from_h, from_x = np.zeros(max(L, M), dtype), np.empty((n, M), dtype), np.empty((n, L), dtype)

        chunk = max(CHUNK // n, 1)
        dgx, dgh = gather_buffer(chunk, gates, n * H, unit), gather_buffer(chunk if own_dgh else 0, gates, n * H, unit)
        if not own_dgh:
            dgh = dgx
        inputs, states = np.ones((chunk * n, I + 1), dtype), np.ones((chunk * n, H + 1), dtype)
        e_rows, kinds = np.zeros(chunk * n, np.int64), np.zeros(chunk * n, np.int64)
        sizes, columns = np.zeros(chunk * n, np.int64), np.zeros((chunk * n + 1, panel_width(unit)), dtype)
        sum_ih, sum_hh, gathered = dW_ih[item], dW_hh[item], 0
        clear_all(sum_ih)
        clear_all(sum_hh)
        e_sums[item] = EMPTY

        dh, dh_prev, dc, dc_prev = (
            np.zeros(n * H, dtype),
            np.zeros(n * H, dtype),
            np.zeros(n * C, dtype),
            np.zeros(n * C, dtype),
        )
        e, limit, begun = np.zeros(n, np.int64), np.zeros(1, dtype), False
        for t in range(T - 1, -1, -1):
            begun |= add_arriving(slots, arriving, e_arriving, dh, dc, e, unit, r, t, first)
            if not begun:  # exact zeros, and no products
                for row in range(first, last):
                    clear(exponents[r, t, row : row + 1])
                    clear(squares[r, t, row])
                    if passes_on:
                        clear(dx[r, t, row])
                continue
            for k in range(n):
                dh_row, dc_row = dh[k * H : (k + 1) * H], dc[k * C : (k + 1) * C]
                e[k], squares[r, t, first + k, 0] = normalize(dh_row, dc_row, e[k], unit)
            h_prev, c_prev = hs[r, t, first:last].reshape(n * H), cs[r, t, first:last].reshape(n * C)
            dgx_t, dgh_t = dgx[gathered].reshape(n * G), dgh[gathered].reshape(n * G)
            step_backward(dh, dc, saved_block[t], h_prev, c_prev, unit, dgx_t, dgh_t, dh_prev, dc_prev)
            for k in range(n):
                row, s = first + k, gathered * n + k
                reading = squares[r, t, row]
                copy(hs[r, t, row], states[s, :H])
                copy(x[r, t + shift, row], inputs[s, :I])
                if t < lengths[r, row]:
                    reading[1] = sum_of_squares(dc[k * C : (k + 1) * C])
                    if bounds[r] > 0:
                        of_x, of_h = row_view(dgx_t, gates, n, k), row_view(dgh_t, gates, n, k)
                        clipped[r, row] += clip_row(of_x, own_dgh, of_h, bounds[r], e[k], reading, limit)
                else:
                    clear_all(row_view(dgx_t, gates, n, k))
                    clear_all(row_view(dgh_t, gates, n, k))
                    clear(dh_prev[k * H : (k + 1) * H])
                    clear(dc_prev[k * C : (k + 1) * C])
                    clear(reading)
                    e[k] = 0
                exponents[r, t, row] = e[k]
            matmul_gates(unit, n, M, dgh_t, packed_hh, zeros, from_h)
            for k in range(n):
                add_to(dh_prev[k * H : (k + 1) * H], from_h[k, :H])
            if passes_on:
                matmul_gates(unit, n, L, dgx_t, packed_ih, zeros, from_x)
                for k in range(n):
                    copy(from_x[k, :I], dx[r, t, first + k])
            for k in range(n):
                s = gathered * n + k
                e_rows[s], kinds[s] = normalize_row(dgx[gathered], dgh[gathered], own_dgh, n, k, e[k], unit)
            dh, dh_prev = dh_prev, dh
            dc, dc_prev = dc_prev, dc
            gathered += 1
            if gathered == chunk or t == 0:
                e_sums[item] = add_gathered(
                    unit, n, gathered, own_dgh, dgx, dgh, states, inputs, e_rows, kinds, sizes, columns,
                    sum_hh, sum_ih, e_sums[item],
                )  # fmt: skip
                gathered = 0

    return Kernels(forward, backward)


def source_stamp(rule: Rule) -> str:
    """Changes when any source that is compiled into the kernel changes: Numba itself watches this file alone."""
    files = {
        inspect.getsourcefile(item) for item in (rule.forward, source_stamp, pointwise, compiled, products, rows, sums)
    }
    digest = hashlib.sha256()
    for file in sorted(filter(None, files)):
        digest.update(Path(file).read_bytes())
    return digest.hexdigest() + rule.forward.__name__
