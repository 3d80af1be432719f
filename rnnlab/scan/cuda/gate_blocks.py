"""A block of rows for each gate inside a kernel, as a tuple: read from memory, written to it, multiplied by weights."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def load_blocks(pointer, offsets, mask, stride, COUNT: tl.constexpr):  # type: ignore[no-untyped-def]
    """COUNT blocks, `stride` numbers apart; zeros where the mask is off."""
    blocks = ()
    for k in tl.static_range(COUNT):
        blocks = blocks + (tl.load(pointer + offsets + k * stride, mask=mask, other=0.0),)  # noqa: RUF005
    return blocks


@triton.jit
def store_blocks(pointer, offsets, mask, stride, blocks, COUNT: tl.constexpr):  # type: ignore[no-untyped-def]
    """Write COUNT blocks, `stride` numbers apart."""
    for k in tl.static_range(COUNT):
        tl.store(pointer + offsets + k * stride, blocks[k], mask=mask)


@triton.jit
def load_matrices(W, H, HP: tl.constexpr, COUNT: tl.constexpr, TRANSPOSED: tl.constexpr):  # type: ignore[no-untyped-def]
    """The block [HP, HP] of each gate of W [H, COUNT * H], or its transpose; zeros beyond H."""
    row, column = tl.arange(0, HP)[:, None], tl.arange(0, HP)[None, :]
    offsets = column * (COUNT * H) + row if TRANSPOSED else row * (COUNT * H) + column
    return load_blocks(W, offsets, (row < H) & (column < H), H, COUNT)


@triton.jit
def products(rows, matrices, bias, COUNT: tl.constexpr):  # type: ignore[no-untyped-def]
    """For each gate rows W + b: rows [ROWS, HP], W [HP, HP], b [1, HP]."""
    blocks = ()
    for k in tl.static_range(COUNT):
        # In full float32, never TF32: a reading that is off by 1e-3 a timestep is none.
        blocks = blocks + (tl.dot(rows, matrices[k], input_precision="ieee") + bias[k],)  # noqa: RUF005
    return blocks


@triton.jit
def add_products(total, blocks, matrices, COUNT: tl.constexpr):  # type: ignore[no-untyped-def]
    """total + the sum over gates of their blocks times their matrices."""
    for k in tl.static_range(COUNT):
        total = tl.dot(blocks[k], matrices[k], acc=total, input_precision="ieee")
    return total


@triton.jit
def clamped_blocks(blocks, limit, COUNT: tl.constexpr):  # type: ignore[no-untyped-def]
    """Blocks clamped to [-limit, limit], limits [ROWS] of the rows. NaN stays NaN."""
    clamped = ()
    for k in tl.static_range(COUNT):
        block = tl.where(blocks[k] > limit[:, None], limit[:, None], blocks[k])
        clamped = clamped + (tl.where(block < -limit[:, None], -limit[:, None], block),)  # noqa: RUF005
    return clamped
