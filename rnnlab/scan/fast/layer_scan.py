"""One layer's scan on the CPU: its arrays, what it leaves behind, and the compiled loops that go over them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnnlab.scan.fast.gemm import padded_width
from rnnlab.scan.fast.kernels import kernels
from rnnlab.scan.fast.layer_arrays import AdjointArrays, Floats, LayerInputs, States, Weights, WeightSums
from rnnlab.scan.fast.layer_arrays import Upstream as UpstreamArrays
from rnnlab.scan.fast.threads import Items, blocks_of, items_of
from rnnlab.scan.fast.weight_gradients import add_blocks
from rnnlab.scan.layer import Layer
from rnnlab.scan.rule import Rule
from rnnlab.scan.scaled import Scaled


@dataclass
class Workspace:
    """Buffers kept from one update to the next: asking the system for fresh pages costs as much as filling them."""

    buffers: dict[str, Any] = field(default_factory=dict)

    def empty(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any] | type) -> Any:
        """An uninitialized array of this shape, the same memory as last time where the shape is."""
        held = self.buffers.get(name)
        if held is None or held.shape != shape or held.dtype != dtype:
            # numpy's large arrays lie on huge pages where the system has them.
            held = self.buffers[name] = np.empty(shape, dtype)
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
    """A forward scan of one layer, and what it leaves for the backward one.

    hs, cs [R, T+1, B, H] (index 0: the initial state), and `saved`, in which the blocks of rows stand one after
    another, each [T, width, rows, H]. All three are memory of the workspace: good until the next forward scan with it.
    """

    rule: Rule
    arrays: LayerArrays
    blocks: int
    """Into how many blocks the rows of a replica are cut; the backward scan must cut them alike."""

    @classmethod
    def of(
        cls, rule: Rule, inputs: LayerInputs, weights: Layer, work: Workspace, first: tuple[Tensor, ...] = ()
    ) -> Trace:
        """A scan that is to run, from the states `first`, or from zero. Its arguments are those of `forward`."""
        (R, T, B, _), dtype = inputs.x.shape, inputs.x.dtype
        T, G = T - inputs.shift, weights.b.shape[1]
        H = G // rule.gates
        states = States(
            work.empty("hs", (R, T + 1, B, H), dtype),
            work.empty("cs", (R, T + 1, B, H if rule.second else 0), dtype),
            work.empty("saved", (R * T * B * rule.width * H,), dtype),
        )
        states.hs[:, 0], states.cs[:, 0] = 0, 0
        for state, value in zip(states, first, strict=False):
            state[:, 0] = value.numpy()
        b_hh = np.zeros((R, G), dtype) if weights.b_hh is None else array_of(weights.b_hh)
        # A rule without a product never reads the zeros.
        W_hh = array_of(weights.W_hh) if rule.product else np.zeros((R, H, G), dtype)
        given = Weights(array_of(weights.W_ih), array_of(weights.b), W_hh, b_hh)
        blocks = blocks_of(R, B, R * T * B * G)
        return cls(rule, LayerArrays(inputs, given, states), blocks)

    @property
    def hs(self) -> Tensor:
        """[R, T+1, B, H]"""
        return torch.from_numpy(self.arrays.states.hs)

    @property
    def cs(self) -> Tensor:
        """[R, T+1, B, H], or [R, T+1, B, 0]"""
        return torch.from_numpy(self.arrays.states.cs)

    @property
    def items(self) -> Items:
        """The blocks of rows that the scan is run on."""
        R, _, B, _ = self.arrays.states.hs.shape
        return items_of(R, B, self.blocks)

    @property
    def numbers(self) -> int:
        """How many pre-activations there are in all."""
        R, T, B, _ = self.arrays.states.hs.shape
        return int(R * (T - 1) * B * self.arrays.weights.b.shape[1])

    def run(self) -> Callable[[int, int], None]:
        """A function that scans forward items `begin` to `end` - 1."""
        loop, arguments = kernels(self.rule).forward, (unit_of(self.arrays.states.hs), *map(tuple, self.arrays))
        return functools.partial(loop, *arguments, self.items)

    def gates(self) -> list[Tensor]:
        """The activated gates, each [R, T, B, H], in the cell's order."""
        R, T, _, H = self.hs[:, 1:].shape
        width, saved = self.rule.width, torch.from_numpy(self.arrays.states.saved)
        blocks = saved.split([T * width * H * (last - first) for _, first, last in self.items.tolist()])
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

    def arrays(self, trace: Trace) -> UpstreamArrays:
        """The same as the compiled code takes it."""
        last_c = (
            nothing_at_c(trace)
            if self.last_c is None
            else (array_of(self.last_c.mantissa), array_of(self.last_c.exponent))
        )
        mantissa, exponent = self.rows
        return UpstreamArrays(array_of(mantissa), array_of(exponent), array_of(self.slots), *last_c)


def nothing_at_c(trace: Trace) -> tuple[Any, Any]:
    """The last two of the arrays of an upstream of which nothing reaches c: no rows, and exponents [R, B]."""
    R, _, B, C = trace.arrays.states.cs.shape
    return np.empty((R, 0, C), trace.arrays.states.cs.dtype), np.zeros((R, B), np.int64)


@dataclass(frozen=True)
class Adjoint:
    """A backward scan of one layer, and what it yields. True values are mantissa * 2^exponent.

    All but the sums is memory of the workspace: good until the next backward scan with it.
    """

    trace: Trace
    upstream: UpstreamArrays
    bounds: Floats
    arrays: AdjointArrays
    blocks: WeightSums

    @classmethod
    def of(
        cls, trace: Trace, upstream: UpstreamArrays, work: Workspace, bounds: Tensor | None, *, wants_dx: bool
    ) -> Adjoint:
        """A scan that is to run. Its arguments are those of `backward`."""
        (_, weights, states), count = trace.arrays, len(trace.items)
        (R, T, B, H), C, dtype = states.hs.shape, states.cs.shape[3], states.hs.dtype
        T, I, N = T - 1, weights.W_ih.shape[1], padded_width(weights.b.shape[1], unit_of(states.hs))
        arrays = AdjointArrays(
            work.empty("dx", (R, T if wants_dx else 0, B, I), dtype),
            work.empty("exponents", (R, T, B), np.int64),
            work.empty("squares", (R, T, B, 4), np.float64),
            np.zeros((R, B), np.int64),
            work.empty("first_h", (R, B, H), dtype),
            work.empty("first_c", (R, B, C), dtype),
            work.empty("first_exponents", (R, B), np.int64),
        )
        # The last row of each is its bias's gradient: the sum over rows is a product with ones.
        blocks = WeightSums(
            work.empty("dW_ih", (count, I + 1, N), dtype),
            work.empty("dW_hh", (count, H + 1, N), dtype),
            np.empty(count, np.int64),
        )
        return cls(trace, upstream, bounds_or_zeros(bounds, R), arrays, blocks)

    def run(self) -> Callable[[int, int], None]:
        """A function that scans back items `begin` to `end` - 1."""
        of_trace = (unit_of(self.arrays.first_h), *map(tuple, self.trace.arrays), tuple(self.upstream), self.bounds)
        arguments = (*of_trace, tuple(self.arrays), tuple(self.blocks), self.trace.items)
        return functools.partial(kernels(self.trace.rule).backward, *arguments)

    @property
    def exponents(self) -> Tensor:
        """[R, T, B], of each row."""
        return torch.from_numpy(self.arrays.exponents)

    @property
    def squares(self) -> Tensor:
        """[R, T, B, 4]: squared norms of the rows of dL/dh_t, dL/dc_t, and dL/da_t before and after the clip."""
        return torch.from_numpy(self.arrays.squares)

    @property
    def clipped(self) -> Tensor:
        """[R, B]: entries that the adjoint clip clamped."""
        return torch.from_numpy(self.arrays.clipped)

    @property
    def dx(self) -> Tensor:
        """[R, T, B, I]: dL/dx_t, where it was asked for."""
        return torch.from_numpy(self.arrays.dx)

    @property
    def first_h(self) -> Tensor:
        """[R, B, H]: the gradient with respect to the initial h, at `first_exponents`."""
        return torch.from_numpy(self.arrays.first_h)

    @property
    def first_c(self) -> Tensor:
        """[R, B, H]: the same of c."""
        return torch.from_numpy(self.arrays.first_c)

    @property
    def first_exponents(self) -> Tensor:
        """[R, B]"""
        return torch.from_numpy(self.arrays.first_exponents)

    def sums(self) -> dict[str, Scaled]:
        """dL/dW_ih, dL/dW_hh, dL/db and dL/db_hh [R, ...], with an exponent for each replica."""
        (R, G), parts = self.trace.arrays.weights.b.shape, []
        for of_item in (self.blocks.W_ih, self.blocks.W_hh):
            rows, top = of_item.reshape(R, -1, *of_item.shape[1:]), np.empty(R, np.int64)
            out = np.empty((R, rows.shape[2], G), rows.dtype)
            add_blocks(unit_of(rows), rows, self.blocks.exponents.reshape(R, -1), out, top)
            parts.append(Scaled(torch.from_numpy(out), torch.from_numpy(top)))
        (of_x, e), (of_h, _) = parts
        sums = {"W_ih": of_x[:, :-1], "W_hh": of_h[:, :-1], "b": of_x[:, -1], "b_hh": of_h[:, -1]}
        return {name: Scaled(mantissa, e) for name, mantissa in sums.items()}


def bounds_or_zeros(bounds: Tensor | None, R: int) -> Any:
    """The bounds [R] of the adjoint clip as the compiled code takes them: 0 for none."""
    return np.zeros(R) if bounds is None else bounds.numpy()


def array_of(tensor: Tensor) -> Any:
    """A tensor as the compiled code takes it: contiguous."""
    return (tensor if tensor.is_contiguous() else tensor.contiguous()).numpy()


def unit_of(like: Any) -> Any:
    """The number 1 in the dtype of an array."""
    return np.float32(1) if like.dtype == np.float32 else np.float64(1)
