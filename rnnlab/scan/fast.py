"""The fast scan on the CPU: the compiled loops, spread over threads by replica and by rows of the batch."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnlab.scan.blas import find_blas
from rnnlab.scan.kernels import align, kernels
from rnnlab.scan.rule import Rule


@dataclass
class Workspace:
    """Buffers kept from one update to the next: asking the system for fresh pages costs as much as filling them."""

    buffers: dict[str, Tensor] = field(default_factory=dict)

    def empty(self, name: str, shape: tuple[int, ...], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """An uninitialized tensor of this shape, the same memory as last time where the shape is."""
        dtype = dtype or like.dtype
        held = self.buffers.get(name)
        if held is None or held.shape != shape or held.dtype != dtype:
            held = self.buffers[name] = torch.empty(shape, dtype=dtype)
        return held


@dataclass(frozen=True)
class Trace:
    """What a forward scan leaves for the backward one: hs, cs [R, T+1, B, H] (index 0 is the zero state), saved."""

    rule: Rule
    hs: Tensor
    cs: Tensor
    saved: Tensor
    W_hh: Tensor
    lengths: Tensor


@dataclass(frozen=True)
class Arriving:
    """What reaches a layer from above: rows [R, S, B, H], exponents [R, S, B]; slots [R, T, B] says which, or -1."""

    rows: Tensor
    exponents: Tensor
    slots: Tensor


@dataclass(frozen=True)
class Adjoint:
    """What a backward scan yields. True values are mantissa * 2^exponent, the exponents being those of each row.

    dgx, dgh [R, T, B, G*H]: dL/d(pre-activations). exponents [R, T, B]. squares [R, T, B, 4]: squared norms of the rows
    of dL/dh_t, dL/dc_t, and dL/da_t before and after the adjoint clip. clipped [R, B]: entries clamped.
    rows [R, T, B, H]: dL/dh_t itself, where it was asked for.
    """

    dgx: Tensor
    dgh: Tensor
    exponents: Tensor
    squares: Tensor
    clipped: Tensor
    rows: Tensor | None


def prepare(rule: Rule, dtype: torch.dtype) -> bool:
    """Compile both loops for this dtype, or read them from the disk cache; True when they had to be compiled."""
    loops = kernels(rule)
    gx, lengths = torch.zeros(1, 2, 1, rule.gates, dtype=dtype), torch.full((1, 1), 2)
    work, slots = Workspace(), torch.zeros(1, 2, 1, dtype=torch.int64)
    trace = forward(rule, gx, gx[:, :1, 0], None, lengths, work)
    arriving = Arriving(gx[..., :1], torch.ones(1, 2, 1, dtype=torch.int64), slots)
    aligned(backward(trace, arriving, work))
    compiled: list[Any] = [*loops, align]
    return any(loop.stats.cache_misses for loop in compiled)


def forward(rule: Rule, gx: Tensor, W_hh: Tensor, b_hh: Tensor | None, lengths: Tensor, work: Workspace) -> Trace:
    """Run h_t, c_t = rule(gx_t, h_{t-1} W_hh + b_hh, state) over time from zero states.

    gx [R, T, B, G*H], W_hh [R, H, G*H], b_hh [R, G*H], lengths [R, B] int64; beyond a row's length its state is zero.
    """
    R, T, B, G = gx.shape
    H = W_hh.shape[1]
    hs = work.empty("hs", (R, T + 1, B, H), gx)
    cs = work.empty("cs", (R, T + 1, B, H if rule.second else 0), gx)
    saved = work.empty("saved", (R, T, B, rule.width * H), gx)
    hs[:, 0], cs[:, 0] = 0, 0
    b_hh = gx.new_zeros(R, G) if b_hh is None else b_hh
    blas, arrays = find_blas(), _arrays(gx, W_hh, b_hh, lengths, hs, cs, saved)
    loop = kernels(rule).forward
    _spread(lambda r, first, last: loop(blas.address(arrays[0].dtype), _one(gx), *arrays, r, first, last), R, B)
    return Trace(rule, hs, cs, saved, W_hh, lengths)


def backward(
    trace: Trace, arriving: Arriving, work: Workspace, *, bound: float | None = None, keep: bool = False
) -> Adjoint:
    """Run the scan back from the last timestep: total dL/dh_t and dL/dc_t for every t on the way, in one pass."""
    R, T, B, _ = trace.saved.shape
    H, G = trace.W_hh.shape[1:]
    dgx = work.empty("dgx", (R, T, B, G), trace.hs)
    dgh = work.empty("dgh", (R, T, B, G), trace.hs) if trace.rule.own_dgh else dgx
    exponents = work.empty("exponents", (R, T, B), trace.hs, torch.int64)
    squares = work.empty("squares", (R, T, B, 4), trace.hs, torch.float64)
    clipped = torch.zeros(R, B, dtype=torch.int64)
    rows = trace.hs.new_empty(R, T if keep else 1, B, H if keep else 0)
    blas, loop = find_blas(), kernels(trace.rule).backward
    arrays = _arrays(trace.hs, trace.cs, trace.saved, trace.W_hh, trace.lengths, arriving.slots, arriving.rows)
    outputs = _arrays(arriving.exponents, dgx, dgh, exponents, squares, clipped, rows)
    head = (blas.address(arrays[0].dtype), _one(trace.hs), *arrays, outputs[0], float(bound or 0.0), *outputs[1:])
    _spread(lambda r, first, last: loop(*head, r, first, last), R, B)
    return Adjoint(dgx, dgh, exponents, squares, clipped, rows if keep else None)


def aligned(adjoint: Adjoint) -> Tensor:
    """Bring all rows of dgx and dgh of a replica to one exponent, in place; returns those exponents [R]."""
    R, _, B, _ = adjoint.dgx.shape
    exponents = adjoint.exponents
    if not exponents.any():
        return exponents.new_zeros(R)
    alive = adjoint.squares[..., 0] + adjoint.squares[..., 1] > 0
    largest = exponents.masked_fill(~alive, -(2**62)).amax((1, 2))
    largest = torch.where(alive.any(2).any(1), largest, 0)
    for d in {id(d): d for d in (adjoint.dgx, adjoint.dgh)}.values():
        array, e = _arrays(d, exponents)
        _spread(functools.partial(_align, array, e, largest.tolist(), _one(d)), R, B)
    return largest


def _align(d: Any, exponents: Any, largest: list[int], one: Any, r: int, first: int, last: int) -> None:
    align(d, exponents, largest[r], one, r, first, last)


def _arrays(*tensors: Tensor) -> list[Any]:
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


def _one(like: Tensor) -> Any:
    return np.float32(1) if like.dtype == torch.float32 else np.float64(1)


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "rnnlab-scan", initializer=find_blas().one_thread)


def _spread(work: Callable[[int, int, int], None], R: int, B: int) -> None:
    """Call work(replica, first row, last row) over all rows of all replicas, on torch's number of threads."""
    threads = torch.get_num_threads()
    blocks = min(B, -(-threads // R))
    edges = [B * k // blocks for k in range(blocks + 1)]
    items = [(r, first, last) for r in range(R) for first, last in itertools.pairwise(edges)]
    for done in [_pool(threads).submit(work, *item) for item in items]:
        done.result()
