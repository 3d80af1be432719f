"""One timestep inside kernels, on a block of rows: what both ways of going over time have in common.

A program works on one replica r and ROWS rows of its batch. `saved` and pre-activations are [R, T, B, COUNT * H],
states [R, T + 1, B, H] with the initial state at index 0.
"""

from __future__ import annotations

import triton
import triton.language as tl

from rnnlab.scan.cuda.gate_blocks import clamped_blocks, load_blocks, store_blocks
from rnnlab.scan.cuda.powers import NOTHING, joined, row_squares, wide_power

BEYOND_FLOAT32 = tl.constexpr(3e38)
"""A bound of the adjoint clip at least this large clamps no number of float32, and is itself one."""


@triton.jit
def read_state(states, r, t, T, row, unit, B, H, mask):  # type: ignore[no-untyped-def]
    """The states [ROWS, HP] before timestep t."""
    at = (r * (T + 1) + t) * B + row
    return tl.load(states + at[:, None] * H + unit[None, :], mask=mask, other=0.0)


@triton.jit
def write_timestep(  # type: ignore[no-untyped-def]
    h, c, saved, hs, cs, kept, r, t, T, row, unit, B, H, mask, WIDTH: tl.constexpr, SECOND: tl.constexpr
):
    """Write the states after timestep t to hs, cs, and to `kept` what the way back needs of it."""
    after = ((r * (T + 1) + t + 1) * B + row)[:, None] * H + unit[None, :]
    tl.store(hs + after, h, mask=mask)
    if SECOND:
        tl.store(cs + after, c, mask=mask)
    at = ((r * T + t) * B + row)[:, None] * (WIDTH * H) + unit[None, :]
    store_blocks(kept, at, mask, H, saved, WIDTH)


@triton.jit
def arriving_rows(rows, sizes, slots, S, r, t, T, row, unit, B, H, mask, SLOTS: tl.constexpr):  # type: ignore[no-untyped-def]
    """What reaches h at timestep t from outside: rows [ROWS, HP] near 1 and their exponents; NOTHING for none."""
    at = (r * T + t) * B + row
    size = tl.load(sizes + at, mask=row < B, other=NOTHING)
    if SLOTS:
        slot = tl.load(slots + at, mask=row < B, other=0)
        at = (r * S + slot) * B + row
    some = mask & (size > NOTHING)[:, None]
    return tl.load(rows + at[:, None] * H + unit[None, :], mask=some, other=0.0), size


@triton.jit
def sum_of_row_squares(blocks, COUNT: tl.constexpr):  # type: ignore[no-untyped-def]
    """Squared norms of the rows over all blocks, float64 [ROWS]."""
    total = row_squares(blocks[0])
    for k in tl.static_range(1, COUNT):
        total += row_squares(blocks[k])
    return total


@triton.jit
def back_one_timestep(  # type: ignore[no-untyped-def]
    dh, dc, e, arriving, size, hs, cs, kept, squares, exponents, counts, dgx_out, dgh_out, bound,
    r, t, T, R, row, unit, B, H, mask, ended,
    BACKWARD: tl.constexpr, GATES: tl.constexpr, WIDTH: tl.constexpr, SECOND: tl.constexpr, OWN_DGH: tl.constexpr,
    BOUNDED: tl.constexpr,
):  # fmt: skip
    """Rows dh, dc [ROWS, HP] at exponents e that come from after t, and what arrives there, through timestep t.

    Writes squared norms float64 [states, R, T, B], exponents [R, T, B], how many entries the clip clamped [R, T, B] and
    the gradients of both pre-activations [R, T, B, GATES * H]. Returns dgh, and the pointwise part of what goes on to
    t-1: dh, dc, e.
    """
    dh, dc, e = joined(dh, dc, e, arriving, size)
    alive = mask & (t < ended)[:, None]
    h_prev = read_state(hs, r, t, T, row, unit, B, H, alive)
    c_prev = read_state(cs, r, t, T, row, unit, B, H, alive) if SECOND else dc
    at = (r * T + t) * B + row
    saved = load_blocks(kept, at[:, None] * (WIDTH * H) + unit[None, :], alive, H, WIDTH)
    dgx, dgh, dc, dh_prev, dc_prev = BACKWARD(dh, dc, saved, h_prev, c_prev)

    there, state, every = row < B, squares + at, R.to(tl.int64) * T * B
    tl.store(exponents + at, e, mask=there)
    tl.store(state, row_squares(dh), mask=there)
    if SECOND:
        state += every
        tl.store(state, row_squares(dc), mask=there)
    if BOUNDED:
        # 2^+-1000 are normal numbers of float64, and so far no exponent leads within float32.
        limit = tl.minimum(bound * wide_power(tl.minimum(tl.maximum(-e, -1000), 1000)), BEYOND_FLOAT32).to(tl.float32)
        tl.store(state + every, sum_of_row_squares(dgx, GATES), mask=there)
        count = tl.zeros_like(e)
        for k in tl.static_range(GATES):
            count += tl.sum((tl.abs(dgx[k]) > limit[:, None]).to(tl.int32), 1)
        tl.store(counts + at, count, mask=there)
        dgx, dgh = clamped_blocks(dgx, limit, GATES), clamped_blocks(dgh, limit, GATES)
        tl.store(state + 2 * every, sum_of_row_squares(dgx, GATES), mask=there)
    gates_at = at[:, None] * (GATES * H) + unit[None, :]
    store_blocks(dgx_out, gates_at, mask, H, dgx, GATES)
    if OWN_DGH:
        store_blocks(dgh_out, gates_at, mask, H, dgh, GATES)
    return dgh, dh_prev, dc_prev, e
