"""The compiled scan: one loop over time, forward and back, written once with a cell's rule inside it.

A call works on some items: a replica r and a block of rows first to last-1 of its batch each, over all timesteps. Rows
never meet inside a scan, so items run on threads of their own without waiting for each other, and an item's state stays
in cache. Small items share a call, since to be called from Python takes as long as a small scan.
Going back, each row carries dL/dh_t (and dL/dc_t) with an exponent of its own (`scaled_rows.py`).
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import njit
from numba.extending import register_jitable

from rnnlab.scan import pointwise, thresholds
from rnnlab.scan.fast import blocks, gemm, layer_arrays, nonlinearities, scaled_rows, weight_gradients
from rnnlab.scan.fast.blocks import (
    add_upstream,
    clear_ended,
    clear_row,
    clip_row,
    gate_major,
    matmul_gates,
    normalize_block,
    pack_transposed,
    pack_whole,
    read_zeros,
    row_view,
    saved_of_block,
    write_first,
)
from rnnlab.scan.fast.gemm import address, matmul, padded_width
from rnnlab.scan.fast.layer_arrays import AdjointArrays, LayerInputs, States, Upstream, Weights, WeightSums
from rnnlab.scan.fast.scaled_rows import add_to, clear, clear_all, sum_of_squares
from rnnlab.scan.fast.unique_names import unique
from rnnlab.scan.fast.weight_gradients import EMPTY, add_gathered, gather_states, normalize_gathered, room_for
from rnnlab.scan.pointwise import copy
from rnnlab.scan.rule import Rule


class Kernels(NamedTuple):
    """The two compiled loops of one rule."""

    forward: Callable[..., None]
    backward: Callable[..., None]


@functools.cache
def kernels(rule: Rule) -> Kernels:
    """Compile (or read from the disk cache) the scan with this rule inside."""
    return Kernels(_forward(rule), _backward(rule))


def _forward(rule: Rule) -> Callable[..., None]:
    own_dgh, product, width, gates, stamp = rule.own_dgh, rule.product, rule.width, rule.gates, source_stamp(rule)
    step_forward = register_jitable(**nonlinearities.OPTIONS)(unique(stamp)(rule.forward))

    @njit(nogil=True, cache=True, **nonlinearities.OPTIONS)
    @unique(stamp)
    def forward(unit, inputs, weights, states, items, begin, end):  # type: ignore[no-untyped-def]
        """LayerInputs, Weights and the initial states at index 0 to all other States, for items begin to end-1."""
        stamp  # noqa: B018  part of the key of the disk cache
        inputs, weights, states = LayerInputs(*inputs), Weights(*weights), States(*states)
        for item in range(begin, end):
            r, first, last = items[item]
            hs, cs, n = states.hs, states.cs, last - first
            T, I, H, G, C = hs.shape[1] - 1, weights.W_ih.shape[1], hs.shape[3], weights.b.shape[1], cs.shape[3]
            N, dtype = padded_width(G, unit), hs.dtype
            saved = saved_of_block(states, width, r, first, last)
            packed_ih, packed_hh = pack_whole(weights.W_ih[r], unit), pack_whole(weights.W_hh[r], unit)
            biases, ax, ah = np.zeros((2, N), dtype), np.empty((n, N), dtype), np.empty((n, N), dtype)
            gx, gh = np.zeros(n * G, dtype), np.zeros(n * G, dtype)
            copy(weights.b[r], biases[0, :G])
            copy(weights.b_hh[r], biases[1, :G])
            start, start_row = address(biases[1]), 0
            if not own_dgh:  # only the sum of both pre-activations counts: gx stays zero
                add_to(biases[0], biases[1])
                start, start_row = address(ax), N
            for t in range(T):
                x, before = address(inputs.x[r, t + inputs.shift, first:last]), hs[r, t, first:last]
                matmul(unit, n, N, I, x, address(packed_ih), address(biases), 0, address(ax))
                if product:
                    matmul(unit, n, N, H, address(before), address(packed_hh), start, start_row, address(ah))
                if own_dgh:
                    gate_major(ax, n, gates, H, gx)
                gate_major(ah if product else ax, n, gates, H, gh)
                h, c = hs[r, t + 1, first:last].reshape(n * H), cs[r, t + 1, first:last].reshape(n * C)
                step_forward(gx, gh, before.reshape(n * H), cs[r, t, first:last].reshape(n * C), h, c, saved[t], unit)
                clear_ended(hs[r, t + 1, first:last], cs[r, t + 1, first:last], inputs.lengths[r, first:last], t)

    loop: Callable[..., None] = forward
    return loop


# At the top level: what a rule decides is an argument, so all rules share one function and no closure of one name.
@register_jitable(**nonlinearities.OPTIONS)
def read_rows(  # type: ignore[no-untyped-def]
    own_dgh, gates, adjoint, dgx, dgh, dc, dh_prev, dc_prev, e, lengths, bound, limit, r, t, first
):
    """Write the adjoint of timestep t after the rule, and clip dgx, dgh [gates * n * H] where there is a bound."""
    n = e.shape[0]
    C = dc.shape[0] // n
    for k in range(n):
        row = first + k
        squares = adjoint.squares[r, t, row]
        if t < lengths[r, row]:
            squares[1] = sum_of_squares(dc[k * C : (k + 1) * C])
            if bound > 0:
                of_x, of_h = row_view(dgx, gates, n, k), row_view(dgh, gates, n, k)
                adjoint.clipped[r, row] += clip_row(of_x, own_dgh, of_h, bound, e[k], squares, limit)
        else:
            clear_row(dgx, dgh, dh_prev, dc_prev, gates, n, k)
            clear(squares)
            e[k] = 0
        adjoint.exponents[r, t, row] = e[k]


def _backward(rule: Rule) -> Callable[..., None]:
    own_dgh, product, width, gates, stamp = rule.own_dgh, rule.product, rule.width, rule.gates, source_stamp(rule)
    step_backward = register_jitable(**nonlinearities.OPTIONS)(unique(stamp)(rule.backward))

    @njit(nogil=True, cache=True, **nonlinearities.OPTIONS)
    @unique(stamp)
    def backward(  # type: ignore[no-untyped-def]
        unit, inputs, weights, states, upstream, bounds, adjoint, sums, items, begin, end
    ):
        """Upstream to AdjointArrays and, at each item's index, WeightSums; bounds [R] of the adjoint clip, or 0."""
        stamp  # noqa: B018
        inputs, weights, states = LayerInputs(*inputs), Weights(*weights), States(*states)
        upstream, adjoint, sums = Upstream(*upstream), AdjointArrays(*adjoint), WeightSums(*sums)
        for item in range(begin, end):
            r, first, last = items[item]
            hs, cs, x, shift, n = states.hs, states.cs, inputs.x, inputs.shift, last - first
            T, I, H, G, C = hs.shape[1] - 1, weights.W_ih.shape[1], hs.shape[3], weights.W_hh.shape[2], cs.shape[3]
            M, L, passes_on, dtype = padded_width(H, unit), padded_width(I, unit), adjoint.dx.shape[1] > 0, hs.dtype
            saved = saved_of_block(states, width, r, first, last)
            packed_hh = pack_transposed(weights.W_hh[r], gates, unit)
            packed_ih = pack_transposed(weights.W_ih[r, : I if passes_on else 0], gates, unit)
            zeros, from_h, from_x = np.zeros(max(L, M), dtype), np.empty((n, M), dtype), np.empty((n, L), dtype)
            gathered, count = room_for(n, gates, H, I, own_dgh, unit), 0
            sum_ih, sum_hh = sums.W_ih[item], sums.W_hh[item]
            clear_all(sum_ih)
            clear_all(sum_hh)
            sums.exponents[item] = EMPTY

            dh, dh_prev = np.zeros(n * H, dtype), np.zeros(n * H, dtype)
            dc, dc_prev = np.zeros(n * C, dtype), np.zeros(n * C, dtype)
            e, limit, begun = np.zeros(n, np.int64), np.zeros(1, dtype), False
            for t in range(T - 1, -1, -1):
                begun |= add_upstream(upstream, inputs.lengths, dh, dc, e, unit, r, t, first)
                if not begun:  # exact zeros need no products
                    read_zeros(adjoint, r, t, first, last)
                    continue
                normalize_block(dh, dc, e, adjoint.squares[r, t, first:last], unit)
                h_prev, c_prev = hs[r, t, first:last].reshape(n * H), cs[r, t, first:last].reshape(n * C)
                dgx, dgh = gathered.dgx[count].reshape(n * G), gathered.dgh[count].reshape(n * G)
                step_backward(dh, dc, saved[t], h_prev, c_prev, unit, dgx, dgh, dh_prev, dc_prev)
                gather_states(gathered, count, hs[r, t, first:last], x[r, t + shift, first:last])
                read_rows(
                    own_dgh, gates, adjoint, dgx, dgh, dc, dh_prev, dc_prev, e, inputs.lengths, bounds[r], limit,
                    r, t, first,
                )  # fmt: skip
                if product:
                    matmul_gates(unit, n, M, dgh, packed_hh, zeros, from_h)
                    for k in range(n):
                        add_to(dh_prev[k * H : (k + 1) * H], from_h[k, :H])
                if passes_on:
                    matmul_gates(unit, n, L, dgx, packed_ih, zeros, from_x)
                    for k in range(n):
                        copy(from_x[k, :I], adjoint.dx[r, t, first + k])
                normalize_gathered(gathered, count, own_dgh, e, unit)
                dh, dh_prev = dh_prev, dh
                dc, dc_prev = dc_prev, dc
                count += 1
                if count == gathered.dgx.shape[0] or t == 0:
                    e_sums = sums.exponents[item]
                    sums.exponents[item] = add_gathered(gathered, count, n, own_dgh, sum_ih, sum_hh, e_sums, unit)
                    count = 0
            write_first(adjoint, dh, dc, e, r, first)

    loop: Callable[..., None] = backward
    return loop


def compiled_sources(rule: Rule) -> list[Path]:
    """The files whose code or constants are compiled into the loops of this rule."""
    modules = (layer_arrays, blocks, gemm, nonlinearities, pointwise, scaled_rows, thresholds, weight_gradients)
    files = {inspect.getsourcefile(item) for item in (rule.forward, compiled_sources, *modules)}
    return sorted(Path(file) for file in files if file)


def source_stamp(rule: Rule) -> str:
    """Changes when a source or constant that is compiled into the loops changes: Numba watches their own file alone."""
    digest = hashlib.sha256()
    for file in compiled_sources(rule):
        digest.update(file.read_bytes())
    functions = (rule.forward, rule.backward)
    constants = [repr(cell.cell_contents) for function in functions for cell in function.__closure__ or ()]
    return "-".join([digest.hexdigest(), *(function.__qualname__ for function in functions), *constants])
