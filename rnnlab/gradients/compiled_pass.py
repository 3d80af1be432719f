"""A pass on the compiled scan: the lab's own from the loss to the first layer (CPU; a cell with a rule)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.gradients import compiled_head
from rnnlab.gradients.compiled_head import CompiledHead, add_read_out, near_rows
from rnnlab.gradients.direct import compiled_direct
from rnnlab.gradients.norm_tables import Rows, Table, table
from rnnlab.gradients.pass_base import (
    Bound,
    Pass,
    Readings,
    Sequences,
    bounds_of,
    share_of_entries,
    squares_by_state,
    states_of,
)
from rnnlab.logspace import log10_of_squares
from rnnlab.network import flat_rows
from rnnlab.network.flat import Gradient, RowGradient
from rnnlab.network.flat_rows import add_layer
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective, ReadOut
from rnnlab.scan.fast import scan as fast
from rnnlab.scan.fast.layer_arrays import Floats, LayerInputs, Upstream
from rnnlab.scan.fast.layer_scan import Adjoint, Trace, Workspace, array_of, nothing_at_c, unit_of
from rnnlab.scan.fast.threads import spread
from rnnlab.scan.rule import Rule
from rnnlab.scan.scaled import Scaled

Work = Callable[[int, int], None]
"""What is done for the items from one to, not including, another."""


@final
@dataclass(frozen=True, kw_only=True)
class CompiledPass(Pass):
    """A pass on the compiled scan.

    It reads the memory of its `Scratch`, so it is good until the next pass with the same scratch. Losses, outputs and
    parameter gradients are tensors of their own and stay; readings, gates and norm tables do not.

    >>> from rnnlab.cells import Rnn
    >>> from rnnlab.inits import Inits
    >>> from rnnlab.network.network import Shape, draw
    >>> shape = Shape(inputs=2, hidden=3, layers=1, outputs=1, recurrent_bias=False)
    >>> network = Network.stack(Rnn(), shape, [draw(Rnn(), shape, Inits(), seed=0)])
    >>> batch = Sequences(torch.ones(1, 5, 4, 2), torch.zeros(1, 4, 1), lengths=torch.full((1, 4), 5))
    >>> result = fast_pass(network, batch, Objective("value", "last", False), Scratch(layers=1))
    >>> result.gradients["layer0.W_hh"].mantissa.shape, result.readings[0].squares["h"].shape
    (torch.Size([1, 3, 3]), torch.Size([1, 5, 4]))
    """

    traces: list[Trace]
    """By layer."""
    adjoints: list[Adjoint]
    """By layer."""
    upstream: Upstream
    """dL/dh_t of the top layer through the read-out alone: rows [R, S, B, H]."""
    flat: Callable[[], Gradient]
    """The gradient of all parameters in rows."""

    def gradient(self, width: int) -> Gradient:
        return self.flat()

    def gates(self) -> list[list[Tensor]]:
        """By layer and gate: activations [R, T, B, H]."""
        return [trace.gates() for trace in self.traces]

    def direct_readings(self, network: Network) -> list[Readings]:
        """By layer, squared row norms [R, S, B] of the direct gradients dL/d(state_t), at the read-out timesteps."""
        return [
            Readings(squares_by_state(network.cell, squares, self.bounds), exponents)
            for squares, exponents in self._direct(network)
        ]

    def direct_log10(self, network: Network, index: int) -> dict[str, Tensor]:
        """By state, log10 of the row norms [R, S, B] of a layer's direct gradients, at the read-out timesteps."""
        readings = self.direct_readings(network)[index]
        exponents = readings.exponents.numpy()
        return {
            state: torch.from_numpy(log10_of_squares(squares.numpy(), exponents))
            for state, squares in readings.squares.items()
        }

    def norm_tables(self, network: Network, lengths: Tensor) -> Iterator[Table]:
        """Norms and percentiles [R, T] of total and direct gradients, for each layer and state; lengths [R, B]."""
        alive, times = array_of(lengths), array_of(self.read_out.timesteps)
        states = states_of(network.cell, self.bounds)
        for index, (adjoint, direct) in enumerate(zip(self.adjoints, self._direct(network), strict=True)):
            total, rows = adjoint.arrays, Rows(*map(array_of, direct))
            for state in states:
                yield index, state, table(Rows(total.squares, total.exponents), rows, alive, times, state)

    def _direct(self, network: Network) -> list[tuple[Tensor, Tensor]]:
        rows = Scaled(torch.from_numpy(self.upstream.rows), torch.from_numpy(self.upstream.exponents))
        return compiled_direct(network, self.traces, rows, self.read_out, self.bounds)


class Scratch:
    """The memory that passes on the compiled scan reuse: one workspace a layer, and the read-out timesteps.

    A pass overwrites what the pass before it with the same scratch left here.
    """

    def __init__(self, layers: int) -> None:
        self.layers = [Workspace() for _ in range(layers)]
        self._read_out: tuple[Objective, Tensor, int, ReadOut] | None = None

    def read_out(self, objective: Objective, lengths: Tensor, T: int) -> ReadOut:
        """The read-out timesteps; those of last time where the lengths are the very same tensor."""
        held = self._read_out
        if held is None or held[1] is not lengths or held[0] is not objective or held[2] != T:
            held = self._read_out = (objective, lengths, T, objective.read_out(lengths, T))
        return held[3]


def prepare(rule: Rule, dtype: torch.dtype) -> bool:
    """Compile what a measured update runs, for this dtype, or read it from disk; True when it had to be compiled."""
    loops = (*compiled_head.KERNELS, *flat_rows.KERNELS)
    before, compiled = fast.misses(loops), fast.prepare(rule, dtype)
    _warm(dtype)
    return compiled or fast.misses(loops) > before


def prepare_all_but_backward(rule: Rule, dtype: torch.dtype) -> None:
    """All that `prepare` compiles but the backward scan, which takes as long."""
    fast.prepare_all_but_backward(rule, dtype)
    _warm(dtype)


def _warm(dtype: torch.dtype) -> None:
    unit = torch.zeros(1, dtype=dtype).numpy()[0]
    compiled_head.warm(unit)
    flat_rows.warm(unit)


@torch.no_grad()
def fast_forward(network: Network, batch: Sequences, scratch: Scratch) -> list[Trace]:
    """The traces of all layers, on the compiled scan; good until the next pass with the same scratch."""
    traces = _traces(network, batch, scratch)
    _spread([trace.run() for trace in traces], traces)
    return traces


@torch.no_grad()
def fast_pass(
    network: Network, batch: Sequences, objective: Objective, scratch: Scratch, *, bound: Bound = None
) -> CompiledPass:
    """Forward and backward on the compiled scan."""
    bounds = bounds_of(bound, network)
    read_out = scratch.read_out(objective, batch.lengths, batch.x.shape[1])
    targets = objective.targets(batch.y, read_out)
    traces = _traces(network, batch, scratch)
    top = CompiledHead.of(network, traces[-1], read_out, array_of(targets), scratch.layers[-1])
    upstream = Upstream(top.arrays.rows, top.arrays.exponents, array_of(read_out.slots), *nothing_at_c(traces[-1]))
    adjoints, back = _adjoints(traces, upstream, scratch, bounds)
    # A block of rows goes all the way, forward and back: its states are still in cache, and threads meet once a pass.
    _spread([*(trace.run() for trace in traces), top.run(), *back], traces)
    flat, exponents, losses = _sums(network, adjoints, top)
    by_name, gradient = _gradients(network, adjoints, flat, exponents)
    return CompiledPass(
        losses=torch.from_numpy(losses),
        outputs=torch.from_numpy(top.arrays.outputs),
        targets=targets,
        read_out=read_out,
        gradients=by_name,
        readings=[Readings(squares_by_state(network.cell, a.squares, bounds), a.exponents) for a in adjoints],
        bounds=bounds,
        clamped=None if bounds is None else share_of_entries(_clipped(adjoints), network, batch),
        traces=traces,
        adjoints=adjoints,
        upstream=upstream,
        flat=gradient,
    )


def _traces(network: Network, batch: Sequences, scratch: Scratch) -> list[Trace]:
    """The forward scans of all layers, which are to run."""
    rule = network.cell.rule()
    assert rule is not None
    lengths = array_of(batch.lengths)
    inputs, traces = LayerInputs(array_of(batch.x), 0, lengths), list[Trace]()
    for layer, work in zip(network.layers, scratch.layers, strict=True):
        traces.append(Trace.of(rule, inputs, layer, work))
        inputs = LayerInputs(traces[-1].arrays.states.hs, 1, lengths)
    return traces


def _adjoints(
    traces: list[Trace], upstream: Upstream, scratch: Scratch, bounds: Tensor | None
) -> tuple[list[Adjoint], list[Work]]:
    """The backward scans, by layer, and what is to run for them, from the top layer down."""
    adjoints, back = list[Adjoint](), list[Work]()
    for index in reversed(range(len(traces))):
        trace, work = traces[index], scratch.layers[index]
        adjoints.insert(0, Adjoint.of(trace, upstream, work, bounds, wants_dx=index > 0))
        back.append(adjoints[0].run())
        if index:
            rows, exponents = adjoints[0].arrays.dx, adjoints[0].arrays.exponents
            if rows.dtype == np.float64:  # the scan's squares hold float32's whole range, but not float64's
                near = work.empty("dx_exponents", exponents.shape, np.int64)
                back.append(functools.partial(near_rows, rows, exponents, near, trace.items))
                exponents = near
            upstream = Upstream(rows, exponents, _every_timestep(exponents, work), *nothing_at_c(trace))
    return adjoints, back


def _every_timestep(exponents: NDArray[np.int64], work: Workspace) -> NDArray[np.int64]:
    """The slots [R, T, B] of an upstream with a row for every timestep."""
    slots: NDArray[np.int64] = work.empty("slots", exponents.shape, np.int64)
    slots[:] = np.arange(exponents.shape[1])[None, :, None]
    return slots


def _spread(works: list[Work], traces: list[Trace]) -> None:
    """Do all of them for each range of items, one after another."""

    def of_range(begin: int, end: int) -> None:
        for work in works:
            work(begin, end)

    spread(of_range, len(traces[0].items), sum(trace.numbers for trace in traces))


def _sums(network: Network, adjoints: list[Adjoint], top: CompiledHead) -> tuple[NDArray[Any], NDArray[Any], Floats]:
    """The gradient in rows [R, P] as mantissas, its exponents [R, layers + 1], and the losses [R]."""
    flat = np.empty((network.replicas, network.layout.width), top.inputs.hs.dtype)
    exponents, losses = np.empty((len(flat), len(adjoints) + 1), np.int64), np.empty(len(flat))
    for k, (adjoint, starts) in enumerate(zip(adjoints, network.starts, strict=True) if _is_plain(network) else ()):
        add_layer(unit_of(flat), *adjoint.blocks, starts, flat, exponents, k)
    first, last = network.edges[-2:]
    add_read_out(top.arrays.sums, top.arrays.losses, np.empty(last - first), flat, first, exponents, losses)
    return flat, exponents, losses


def _is_plain(network: Network) -> bool:
    """Whether the scan multiplies by the parameters themselves, so that their gradients are its sums."""
    rule = network.cell.rule()
    return rule is not None and rule.product and not network.cell.parametrised


def _gradients(
    network: Network, adjoints: list[Adjoint], flat: NDArray[Any], exponents: NDArray[np.int64]
) -> tuple[_ByName, Callable[[], Gradient]]:
    """The gradient by parameter, and a function that gives that of all parameters."""
    if _is_plain(network):
        by_name = _ByName(lambda: _parts(network, flat, exponents))
        return by_name, lambda: RowGradient(flat, exponents, network.edges, lambda: list(by_name.values()))
    parts = _parts(network, flat, exponents)
    for index, adjoint in enumerate(adjoints):
        parts |= network.parameter_gradients(index, adjoint.sums())
    by_name = _ByName(lambda: parts)
    return by_name, lambda: Gradient(list(parts.values()), flat.shape[1])


def _parts(network: Network, flat: NDArray[Any], exponents: NDArray[np.int64]) -> dict[str, Scaled]:
    """The gradient by parameter: views of the rows."""
    of_layer = torch.from_numpy(exponents).unbind(1)
    layers = {f"layer{index}": of_layer[index] for index in range(network.shape.layers)} | {"readout": of_layer[-1]}
    views = network.layout.views(torch.from_numpy(flat))
    return {name: Scaled(view, layers[name.partition(".")[0]]) for name, view in views.items()}


class _ByName(Mapping[str, Scaled]):
    """What is by parameter, made when it is first asked for: an update needs the rows alone."""

    def __init__(self, make: Callable[[], dict[str, Scaled]]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> dict[str, Scaled]:
        return self._make()

    def __getitem__(self, name: str) -> Scaled:
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


def _clipped(adjoints: list[Adjoint]) -> Tensor:
    """How many entries of dL/da the adjoint clip clamped in all layers, [R]."""
    return torch.stack([adjoint.clipped for adjoint in adjoints]).sum((0, 2))
