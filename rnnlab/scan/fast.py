"""The fast scan on the CPU: the compiled loops, spread over threads by replica and by rows of the batch."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnlab.scan.blas import find_blas
from rnnlab.scan.kernels import NEGLIGIBLE, align, kernels
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
    """

    dgx: Tensor
    dgh: Tensor
    exponents: Tensor
    squares: Tensor
    clipped: Tensor


def prepare(rule: Rule, dtype: torch.dtype) -> bool:
    """Compile both loops for this dtype, or read them from the disk cache; True when they had to be compiled."""
    loops = kernels(rule)
    gx, lengths = torch.zeros(1, 2, 1, rule.gates, dtype=dtype), torch.full((1, 1), 2)
    work, slots, before = Workspace(), torch.zeros(1, 2, 1, dtype=torch.int64), _misses(loops)
    trace = forward(rule, gx, gx[:, :1, 0], None, lengths, work)
    arriving = Arriving(gx[..., :1], torch.ones(1, 2, 1, dtype=torch.int64), slots)
    weight_gradients(trace, backward(trace, arriving, work), gx)
    return _misses(loops) > before


def _misses(loops: Iterable[Any]) -> int:
    """How often a loop was not in the disk cache, in this process so far."""
    return sum(sum(loop.stats.cache_misses.values()) for loop in (*loops, align))


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


def backward(trace: Trace, arriving: Arriving, work: Workspace, *, bound: float | None = None) -> Adjoint:
    """Run the scan back from the last timestep: total dL/dh_t and dL/dc_t for every t on the way, in one pass."""
    R, T, B, _ = trace.saved.shape
    G = trace.W_hh.shape[2]
    dgx = work.empty("dgx", (R, T, B, G), trace.hs)
    dgh = work.empty("dgh", (R, T, B, G), trace.hs) if trace.rule.own_dgh else dgx
    exponents = work.empty("exponents", (R, T, B), trace.hs, torch.int64)
    squares = work.empty("squares", (R, T, B, 4), trace.hs, torch.float64)
    clipped = torch.zeros(R, B, dtype=torch.int64)
    blas, loop = find_blas(), kernels(trace.rule).backward
    arrays = _arrays(trace.hs, trace.cs, trace.saved, trace.W_hh, trace.lengths, arriving.slots, arriving.rows)
    outputs = _arrays(arriving.exponents, dgx, dgh, exponents, squares, clipped)
    head = (blas.address(arrays[0].dtype), _one(trace.hs), *arrays, outputs[0], float(bound or 0.0), *outputs[1:])
    _spread(lambda r, first, last: loop(*head, r, first, last), R, B)
    return Adjoint(dgx, dgh, exponents, squares, clipped)


def times_weights(x: Tensor, W: Tensor, bias: Tensor | None, out: Tensor) -> Tensor:
    """out [R, T, B, N] <- x [R, T, B, M] W [R, M, N] + bias [R, N]."""

    def work(r: int, first: int, last: int) -> None:
        rows, into = x[r, first:last].flatten(0, 1), out[r, first:last].flatten(0, 1)
        if bias is None:
            torch.mm(rows, W[r], out=into)
        else:
            torch.addmm(bias[r], rows, W[r], out=into)

    _spread(work, x.shape[0], x.shape[1])
    return out


def weight_gradients(trace: Trace, adjoint: Adjoint, x: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """dL/dW_ih, dL/dW_hh, dL/db and dL/db_hh of a layer with input x [R, T, B, I], and their exponents [R].

    dL/dW_hh = sum_t h_{t-1}^T dgh_t and so on, over rows brought to one exponent, in place. Timesteps from which
    nothing arrives that could change the sum are left out.
    """
    R, T = x.shape[:2]
    largest, begin = _common_exponent(adjoint)
    exponents = _arrays(adjoint.exponents)[0]
    distinct = [adjoint.dgx] if adjoint.dgh is adjoint.dgx else [adjoint.dgx, adjoint.dgh]
    parts: dict[tuple[int, int], tuple[Tensor, ...]] = {}

    def work(r: int, first: int, last: int) -> None:
        first, last = begin + first, begin + last
        for d in distinct:
            align(d.numpy(), exponents, int(largest[r]), _one(d), r, first, last)
        dgx, dgh = (d[r, first:last].flatten(0, 1) for d in (adjoint.dgx, adjoint.dgh))
        into, before = (rows[r, first:last].flatten(0, 1) for rows in (x, trace.hs))
        b = dgx.sum(0)
        parts[r, first] = (into.T @ dgx, before.T @ dgh, b, b if adjoint.dgh is adjoint.dgx else dgh.sum(0))

    _spread(work, R, T - begin)
    # In the order of the blocks: that in which threads finish would change the last bits from run to run.
    by_replica = [[parts[key] for key in sorted(parts) if key[0] == r] for r in range(R)]
    sums = [torch.stack([functools.reduce(torch.add, one) for one in each]) for each in _by_name(by_replica)]
    return dict(zip(("W_ih", "W_hh", "b", "b_hh"), sums, strict=True)), largest


def _by_name(parts: list[list[tuple[Tensor, ...]]]) -> list[list[tuple[Tensor, ...]]]:
    """Parts by replica and block, to parts by parameter and replica."""
    return [[tuple(block[k] for block in blocks) for blocks in parts] for k in range(4)]


def _common_exponent(adjoint: Adjoint) -> tuple[Tensor, int]:
    """The largest exponent of each replica's rows [R], and the first timestep with a row that counts beside it."""
    exponents = adjoint.exponents
    alive = adjoint.squares[..., 0] + adjoint.squares[..., 1] > 0
    largest = exponents.masked_fill(~alive, -(2**62)).amax((1, 2))
    largest = torch.where(alive.any(2).any(1), largest, 0)
    counts = (alive & (exponents - largest[:, None, None] >= NEGLIGIBLE)).any(2).any(0)
    # Rows of NaN are not alive by their squares, and they have to reach the sum.
    counts |= adjoint.squares[..., 0].isnan().any(2).any(0)
    return largest, int(counts.nonzero()[0]) if counts.any() else exponents.shape[1] - 1


def _arrays(*tensors: Tensor) -> list[Any]:
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


def _one(like: Tensor) -> Any:
    return np.float32(1) if like.dtype == torch.float32 else np.float64(1)


_share: list[int] = []


@contextlib.contextmanager
def own_threads() -> Iterator[None]:
    """Give the scan all of torch's threads, and torch's own operations one, until the block ends.

    What torch still does between scans is small. Its threads would spend a while spinning after each such operation,
    on cores that the scan wants.
    """
    threads = torch.get_num_threads()
    _share.append(threads)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        _share.pop()
        torch.set_num_threads(threads)


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "rnnlab-scan", initializer=find_blas().one_thread)


# Threads do not survive a fork, and a pool that waits for them would wait for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _spread(work: Callable[[int, int, int], None], R: int, N: int) -> None:
    """Call work(replica, first, last) over N rows or timesteps of R replicas, on torch's number of threads.

    Not on torch's own pool: its threads wait for each other by spinning, which beside another busy process costs more
    than the work.
    """
    threads = _share[-1] if _share else torch.get_num_threads()
    blocks = min(N, -(-threads // R))
    edges = [N * k // blocks for k in range(blocks + 1)]
    items = [(r, first, last) for r in range(R) for first, last in itertools.pairwise(edges)]
    # Whether autograd records is a matter of each thread, and a new one says yes.
    unrecorded = torch.no_grad()(work)
    for done in [_pool(threads).submit(unrecorded, *item) for item in items]:
        done.result()
