"""The fast scan on the CPU: the compiled loops, spread over threads by replica and by rows of the batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnnlab.scan.fast import direct as direct_loop
from rnnlab.scan.fast import norms
from rnnlab.scan.fast.gemm import padded_width
from rnnlab.scan.fast.kernels import kernels
from rnnlab.scan.fast.layer_arrays import LayerInputs, States, Weights
from rnnlab.scan.fast.threads import blocks_of, items_of, spread
from rnnlab.scan.fast.weight_gradients import add_blocks
from rnnlab.scan.layer import Layer
from rnnlab.scan.rule import Rule
from rnnlab.scan.scaled import Scaled


@dataclass
class Workspace:
    """Buffers kept from one update to the next: asking the system for fresh pages costs as much as filling them."""

    buffers: dict[str, Tensor] = field(default_factory=dict)

    def empty(self, name: str, shape: tuple[int, ...], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """An uninitialized tensor of this shape, the same memory as last time where the shape is."""
        dtype = dtype or like.dtype
        held = self.buffers.get(name)
        if held is None or held.shape != shape or held.dtype != dtype:
            # numpy's large arrays lie on huge pages where the system has them.
            array = np.empty(shape, str(dtype).removeprefix("torch."))
            held = self.buffers[name] = torch.from_numpy(array)
        return held


@dataclass(frozen=True)
class Inputs:
    """What a layer reads: rows [R, T', B, I], timestep t being row t + shift (1 for the states of a layer below)."""

    rows: Tensor
    shift: int = 0


class LayerArrays(NamedTuple):
    """One layer's forward pass as the compiled code takes it."""

    inputs: LayerInputs
    weights: Weights
    states: States


@dataclass(frozen=True)
class Trace:
    """What a forward scan leaves for the backward one: hs, cs [R, T+1, B, H] (index 0: the initial state), and `saved`.

    In `saved` the blocks of rows stand one after another, each [T, width, rows, H]. All three are memory of the
    workspace: good until the next forward scan with it.
    """

    rule: Rule
    inputs: Inputs
    weights: Layer
    hs: Tensor
    cs: Tensor
    saved: Tensor
    lengths: Tensor
    blocks: int
    """Into how many blocks the rows of a replica were cut; the backward scan must cut them alike."""
    arrays: LayerArrays

    def gates(self) -> list[Tensor]:
        """The activated gates, each [R, T, B, H], in the cell's order."""
        R, T, B, H = self.hs[:, 1:].shape
        width = self.rule.width
        blocks = self.saved.split([T * width * H * (last - first) for _, _, first, last in items_of(R, B, self.blocks)])
        rows = [block.view(T, width, -1, H) for block in blocks]
        whole = [torch.cat(rows[r * self.blocks : (r + 1) * self.blocks], 2) for r in range(R)]
        return list(torch.stack(whole)[:, :, : self.rule.gates].unbind(2))


@dataclass(frozen=True)
class Upstream:
    """The gradient that reaches dL/dh_t from outside the layer: from the read-out, or from the layer above."""

    rows: Scaled
    """[R, S, B, H], an exponent each row"""
    slots: Tensor
    """int64 [R, T, B]: which of the S rows reaches timestep t, -1 for none."""
    last_c: Scaled | None = None
    """[R, B, H], an exponent each row: the gradient that reaches dL/dc of each sequence's last timestep."""


@dataclass(frozen=True)
class Adjoint:
    """What a backward scan yields. True values are mantissa * 2^exponent.

    exponents [R, T, B], of each row. squares [R, T, B, 4]: squared norms of the rows of dL/dh_t, dL/dc_t, and dL/da_t
    before and after the adjoint clip. clipped [R, B]: entries clamped. dx [R, T, B, I]: dL/dx_t, where it was asked
    for. sums: dL/dW_ih, dL/dW_hh, dL/db and dL/db_hh, at the exponents [R] of `sums_exponent`. first_h, first_c
    [R, B, H]: the gradients with respect to the initial states, at the exponents [R, B] of `first_exponents`.
    """

    exponents: Tensor
    squares: Tensor
    clipped: Tensor
    dx: Tensor
    sums: dict[str, Tensor]
    sums_exponent: Tensor
    first_h: Tensor
    first_c: Tensor
    first_exponents: Tensor


def prepare(rule: Rule, dtype: torch.dtype) -> bool:
    """Compile what a measured update runs, for this dtype, or read it from disk; True when it had to be compiled."""
    loops = (*kernels(rule), direct_loop.direct(rule), add_blocks, *norms.KERNELS)
    x, lengths = torch.zeros(1, 2, 1, 1, dtype=dtype), torch.full((1, 1), 2)
    W = x.new_zeros(1, 1, rule.gates)
    work, slots, before = Workspace(), torch.zeros(1, 2, 1, dtype=torch.int64), _misses(loops)
    trace = forward(rule, Inputs(x), Layer(W, {"W_hh": W}, W[:, 0], None), lengths, work)
    rows = Scaled(x, torch.ones(1, 2, 1, dtype=torch.int64))
    backward(trace, Upstream(rows, slots), work)
    direct(trace, rows, slots)
    norms.warm()
    return _misses(loops) > before


def _misses(loops: Iterable[Any]) -> int:
    """How often a loop was not in the disk cache, in this process so far."""
    return sum(sum(loop.stats.cache_misses.values()) for loop in loops)


def forward(
    rule: Rule,
    inputs: Inputs,
    weights: Layer,
    lengths: Tensor,
    work: Workspace,
    first: tuple[Tensor, ...] | None = None,
) -> Trace:
    """Run h_t, c_t = rule(x_t W_ih + b, h_{t-1} W_hh + b_hh, state) over time from the states `first`, or from zero.

    lengths [R, B] int64; beyond a row's length its state is zero. first: h, and c where the cell has one, [R, B, H].
    """
    x = inputs.rows
    R, T, B, _ = x.shape
    T -= inputs.shift
    G, W_hh = weights.b.shape[1], _recurrent_or_zeros(rule, weights)
    H = G // rule.gates
    hs = work.empty("hs", (R, T + 1, B, H), x)
    cs = work.empty("cs", (R, T + 1, B, H if rule.second else 0), x)
    saved = work.empty("saved", (R * T * B * rule.width * H,), x)
    states = States(*map(_array, (hs, cs, saved)))
    states.hs[:, 0], states.cs[:, 0] = 0, 0
    for state, value in zip((hs, cs), first or (), strict=False):
        state[:, 0] = value
    b_hh = np.zeros((R, G), states.hs.dtype) if weights.b_hh is None else _array(weights.b_hh)
    arrays = LayerArrays(
        LayerInputs(_array(x), inputs.shift, _array(lengths)),
        Weights(_array(weights.W_ih), _array(weights.b), _array(W_hh), b_hh),
        states,
    )
    loop, blocks, arguments = kernels(rule).forward, blocks_of(R, B), (_unit(x), *map(tuple, arrays))
    spread(lambda item, *block: loop(*arguments, *block), items_of(R, B, blocks))
    return Trace(rule, inputs, weights, hs, cs, saved, lengths, blocks, arrays)


def backward(
    trace: Trace, upstream: Upstream, work: Workspace, *, bounds: Tensor | None = None, wants_dx: bool = False
) -> Adjoint:
    """Run the scan back from the last timestep: total dL/dh_t and dL/dc_t for every t on the way, in one pass.

    bounds float64 [R]: of the adjoint clip, where there is one.
    """
    R, T, B = trace.hs.shape[0], trace.hs.shape[1] - 1, trace.hs.shape[2]
    like, blocks, H, (I, G) = trace.hs, trace.blocks, trace.hs.shape[3], trace.weights.W_ih.shape[1:]
    N = padded_width(G, _unit(like))
    dx = work.empty("dx", (R, T if wants_dx else 0, B, I), like)
    exponents = work.empty("exponents", (R, T, B), like, torch.int64)
    squares = work.empty("squares", (R, T, B, 4), like, torch.float64)
    clipped = torch.zeros(R, B, dtype=torch.int64)
    # The last row of each is its bias's gradient: the sum over rows is a product with ones.
    dW_ih, dW_hh = work.empty("dW_ih", (R * blocks, I + 1, N), like), work.empty("dW_hh", (R * blocks, H + 1, N), like)
    e_blocks = torch.empty(R * blocks, dtype=torch.int64)
    first_h, first_c = work.empty("first_h", (R, B, H), like), work.empty("first_c", (R, B, trace.cs.shape[3]), like)
    e_first = work.empty("first_exponents", (R, B), like, torch.int64)
    last_c = upstream.last_c or Scaled(like.new_empty(R, 0, trace.cs.shape[3]), e_first)
    arguments = (
        _unit(like),
        *map(tuple, trace.arrays),
        tuple(map(_array, (*upstream.rows, upstream.slots, *last_c))),
        _bounds_or_zeros(bounds, R),
        tuple(map(_array, (dx, exponents, squares, clipped, first_h, first_c, e_first))),
        tuple(map(_array, (dW_ih, dW_hh, e_blocks))),
    )
    loop = kernels(trace.rule).backward
    spread(lambda *item: loop(*arguments, *item), items_of(R, B, blocks))
    (of_x, of_h), top = _add_blocks([dW_ih, dW_hh], e_blocks, R, G)
    sums = {"W_ih": of_x[:, :I], "W_hh": of_h[:, :H], "b": of_x[:, I], "b_hh": of_h[:, H]}
    return Adjoint(exponents, squares, clipped, dx, sums, top, first_h, first_c, e_first)


def _add_blocks(of_blocks: list[Tensor], exponents: Tensor, R: int, G: int) -> tuple[list[Tensor], Tensor]:
    """The sums over the blocks of each replica, from [R * blocks, K, N] to [R, K, G], and their exponents [R]."""
    by_replica, top = exponents.view(R, -1).numpy(), torch.empty(R, dtype=torch.int64)
    sums = []
    for of_block in of_blocks:
        rows = of_block.view(R, by_replica.shape[1], *of_block.shape[1:])
        sums.append(torch.empty(R, rows.shape[2], G, dtype=of_block.dtype))
        add_blocks(_unit(of_block), rows.numpy(), by_replica, sums[-1].numpy(), top.numpy())
    return sums, top


def direct(
    trace: Trace,
    rows: Scaled,
    timesteps: Tensor,
    *,
    bounds: Tensor | None = None,
    through: bool = True,
) -> tuple[Tensor, Tensor]:
    """One timestep back from rows [R, S, B, H] at `timesteps` [R, S, B], with the recurrence held still.

    Returns squares [R, S, B, 4], as in Adjoint, and dL/d(input pre-activations) [R, S, B, G*H], both at the exponents
    of the rows. Where the timestep is -1 they are zero. Without `through` there is dL/dh_t alone, and no
    pre-activations.
    """
    R, S, B, _ = rows.mantissa.shape
    squares = torch.empty(R, S, B, 4, dtype=torch.float64)
    dgx = rows.mantissa.new_empty(R, S, B, trace.weights.b.shape[1] if through else 0)
    upstream, states = tuple(map(_array, (*rows, timesteps))), tuple(trace.arrays.states)
    arguments = (_unit(dgx), upstream, states, _bounds_or_zeros(bounds, R), _array(squares), _array(dgx))
    loop = direct_loop.direct(trace.rule)
    spread(lambda item, *block: loop(*arguments, *block), items_of(R, B, trace.blocks), rows.mantissa.numel())
    return squares, dgx


def _recurrent_or_zeros(rule: Rule, weights: Layer) -> Tensor:
    """W_hh; for a rule without a product zeros, which are never read."""
    R, G = weights.b.shape
    return weights.W_hh if rule.product else weights.b.new_zeros(R, G // rule.gates, G)


def _bounds_or_zeros(bounds: Tensor | None, R: int) -> Any:
    return np.zeros(R) if bounds is None else bounds.numpy()


def _array(tensor: Tensor) -> Any:
    """A tensor as the compiled code takes it: contiguous."""
    return (tensor if tensor.is_contiguous() else tensor.contiguous()).numpy()


def _unit(like: Tensor) -> Any:
    return np.float32(1) if like.dtype == torch.float32 else np.float64(1)
