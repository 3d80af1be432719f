"""One timestep a kernel, for layers whose recurrent weights do not fit into a program; the products are torch's.

A program works on ROWS whole rows. Between two timesteps their adjoints stand in memory.
"""

from __future__ import annotations

import triton
import triton.language as tl

from rnnlab.scan.cuda.gate_blocks import load_blocks
from rnnlab.scan.cuda.timestep import arriving_rows, back_one_timestep, read_state, write_timestep


@triton.jit(do_not_specialize=["t", "T"])
def forward_timestep(  # type: ignore[no-untyped-def]
    gx, gh, lengths, hs, cs, kept, t, T, B, H,
    FORWARD: tl.constexpr, GATES: tl.constexpr, WIDTH: tl.constexpr, SECOND: tl.constexpr,
    ROWS: tl.constexpr, HP: tl.constexpr,
):  # fmt: skip
    """Pre-activations gx [R, T, B, GATES * H] and, of this timestep, gh [R, B, GATES * H] to the states after it."""
    r, row = tl.program_id(0).to(tl.int64), tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    unit = tl.arange(0, HP)
    mask = (row < B)[:, None] & (unit < H)[None, :]
    of_x = load_blocks(gx, ((r * T + t) * B + row)[:, None] * (GATES * H) + unit[None, :], mask, H, GATES)
    of_h = load_blocks(gh, (r * B + row)[:, None] * (GATES * H) + unit[None, :], mask, H, GATES)
    h_prev = read_state(hs, r, t, T, row, unit, B, H, mask)
    c_prev = read_state(cs, r, t, T, row, unit, B, H, mask) if SECOND else tl.zeros_like(h_prev)
    h, c, saved = FORWARD(of_x, of_h, h_prev, c_prev)
    alive = (t < tl.load(lengths + r * B + row, mask=row < B, other=0))[:, None]
    h, c = tl.where(alive, h, 0.0), tl.where(alive, c, 0.0)
    write_timestep(h, c, saved, hs, cs, kept, r, t, T, row, unit, B, H, mask, WIDTH, SECOND)


@triton.jit(do_not_specialize=["t", "T", "R", "S"])
def backward_timestep(  # type: ignore[no-untyped-def]
    dhs, dcs, es, lengths, hs, cs, kept, rows, sizes, slots, S, bounds,
    squares, exponents, counts, dgx, dgh, t, R, T, B, H,
    BACKWARD: tl.constexpr, GATES: tl.constexpr, WIDTH: tl.constexpr, SECOND: tl.constexpr, OWN_DGH: tl.constexpr,
    BOUNDED: tl.constexpr, SLOTS: tl.constexpr, ROWS: tl.constexpr, HP: tl.constexpr,
):  # fmt: skip
    """Through timestep t the adjoints dhs, dcs [R, B, H] at exponents es [R, B], which are replaced.

    What is missing of dhs then is dgh W_hh^T. What is written besides is said by `back_one_timestep`.
    """
    r, row = tl.program_id(0).to(tl.int64), tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    unit = tl.arange(0, HP)
    mask = (row < B)[:, None] & (unit < H)[None, :]
    at, there = (r * B + row)[:, None] * H + unit[None, :], row < B
    dh, e = tl.load(dhs + at, mask=mask, other=0.0), tl.load(es + r * B + row, mask=there, other=0)
    dc = tl.load(dcs + at, mask=mask, other=0.0) if SECOND else tl.zeros_like(dh)
    ended = tl.load(lengths + r * B + row, mask=there, other=0)
    bound = tl.load(bounds + r) if BOUNDED else 0.0
    arriving, size = arriving_rows(rows, sizes, slots, S, r, t, T, row, unit, B, H, mask, SLOTS)
    _, dh, dc, e = back_one_timestep(
        dh, dc, e, arriving, size, hs, cs, kept, squares, exponents, counts, dgx, dgh, bound,
        r, t, T, R, row, unit, B, H, mask, ended,
        BACKWARD, GATES, WIDTH, SECOND, OWN_DGH, BOUNDED,
    )  # fmt: skip
    tl.store(dhs + at, dh, mask=mask)
    tl.store(es + r * B + row, e, mask=there)
    if SECOND:
        tl.store(dcs + at, dc, mask=mask)
