"""The loop over time inside the kernel: one program for a replica and ROWS rows, its recurrent weights resident.

The weights are read once, before the loop, and stay in shared memory; states, adjoints and their exponents stay in
registers from one timestep to the next.
"""

from __future__ import annotations

import triton
import triton.language as tl

from rnnlab.scan.cuda.gate_blocks import add_products, load_blocks, load_matrices, products
from rnnlab.scan.cuda.timestep import arriving_rows, back_one_timestep, write_timestep


@triton.jit(do_not_specialize=["T"])
def forward_kernel(  # type: ignore[no-untyped-def]
    gx, W_hh, b_hh, lengths, hs, cs, kept, T, B, H,
    FORWARD: tl.constexpr, GATES: tl.constexpr, WIDTH: tl.constexpr, SECOND: tl.constexpr,
    ROWS: tl.constexpr, HP: tl.constexpr,
):  # fmt: skip
    """Pre-activations of the input gx [R, T, B, GATES * H] to the states hs, cs, whose first is given as zero."""
    r, row = tl.program_id(0).to(tl.int64), tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    unit = tl.arange(0, HP)
    mask = (row < B)[:, None] & (unit < H)[None, :]
    matrices = load_matrices(W_hh + r * H * GATES * H, H, HP, GATES, False)
    bias = load_blocks(b_hh + r * GATES * H, unit[None, :], (unit < H)[None, :], H, GATES)
    ended = tl.load(lengths + r * B + row, mask=row < B, other=0)
    h, c = tl.zeros((ROWS, HP), tl.float32), tl.zeros((ROWS, HP), tl.float32)
    for t in range(T):
        at = (r * T + t) * B + row
        of_x = load_blocks(gx, at[:, None] * (GATES * H) + unit[None, :], mask, H, GATES)
        h, c, saved = FORWARD(of_x, products(h, matrices, bias, GATES), h, c)
        alive = (t < ended)[:, None]
        h, c = tl.where(alive, h, 0.0), tl.where(alive, c, 0.0)
        write_timestep(h, c, saved, hs, cs, kept, r, t, T, row, unit, B, H, mask, WIDTH, SECOND)


@triton.jit(do_not_specialize=["T", "R", "S"])
def backward_kernel(  # type: ignore[no-untyped-def]
    W_hh, lengths, hs, cs, kept, rows, sizes, slots, S, bounds,
    squares, exponents, counts, dgx, dgh, R, T, B, H,
    BACKWARD: tl.constexpr, GATES: tl.constexpr, WIDTH: tl.constexpr, SECOND: tl.constexpr, OWN_DGH: tl.constexpr,
    BOUNDED: tl.constexpr, SLOTS: tl.constexpr, ROWS: tl.constexpr, HP: tl.constexpr,
):  # fmt: skip
    """From the last timestep to the first; what is written is said by `back_one_timestep`."""
    r, row = tl.program_id(0).to(tl.int64), tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    unit = tl.arange(0, HP)
    mask = (row < B)[:, None] & (unit < H)[None, :]
    # Transposed here and not at each timestep, where there are not registers enough for it.
    matrices = load_matrices(W_hh + r * H * GATES * H, H, HP, GATES, True)
    ended = tl.load(lengths + r * B + row, mask=row < B, other=0)
    bound = tl.load(bounds + r) if BOUNDED else 0.0
    dh, dc, e = tl.zeros((ROWS, HP), tl.float32), tl.zeros((ROWS, HP), tl.float32), tl.zeros((ROWS,), tl.int32)
    for back in range(T):
        t = T - 1 - back
        arriving, size = arriving_rows(rows, sizes, slots, S, r, t, T, row, unit, B, H, mask, SLOTS)
        of_h, dh, dc, e = back_one_timestep(
            dh, dc, e, arriving, size, hs, cs, kept, squares, exponents, counts, dgx, dgh, bound,
            r, t, T, R, row, unit, B, H, mask, ended,
            BACKWARD, GATES, WIDTH, SECOND, OWN_DGH, BOUNDED,
        )  # fmt: skip
        dh = add_products(dh, of_h, matrices, GATES)
