"""One pass of a network: forward, loss, and back to every parameter and every timestep.

Two ways to the same figures. `fast_pass` is the lab's own from the loss to the first layer, on the compiled scan;
`general_pass` hands everything to autograd. Both give the gradient of each parameter and, for each layer, `Readings`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from rnnlab.cells import Cell
from rnnlab.gradients.head import head
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective, Places
from rnnlab.scan import general
from rnnlab.scan.fast import scan as fast
from rnnlab.scan.fast.layer_arrays import SQUARES
from rnnlab.scan.layer import Layer
from rnnlab.scan.scaled import Scaled

Bound = float | Tensor | None
"""Of the adjoint clip: one for all replicas, or one for each [R]."""


@dataclass(frozen=True)
class Sequences:
    """A batch of every replica: x [R, T, B, I], y [R, B, ...] or [R, T, B, ...], lengths int64 [R, B]."""

    x: Tensor
    y: Tensor
    lengths: Tensor


@dataclass(frozen=True)
class Readings:
    """Squared row norms of one layer's gradients: true norm = sqrt(squares) * 2^exponents.

    squares: by state (`h`, `c`; with the adjoint clip `a` and `a_clipped`), each float64 [R, T, B].
    exponents: int64 [R, T, B].
    limited: the number format, where the rows had no exponent of their own on their way and it may have lost them.
    """

    squares: dict[str, Tensor]
    exponents: Tensor
    limited: Literal["float32", "float64"] | None = None


@dataclass
class Pass:
    """What one pass yields, for R replicas; the compiled scan's is good until the next pass with the same scratch."""

    losses: Tensor
    """[R], of the batch."""
    outputs: Tensor
    """[R, S, B, O], at the places of the loss."""
    targets: Tensor
    """[R, S, B] classes or [R, S, B, O] values."""
    places: Places
    gradients: dict[str, Scaled] = field(default_factory=dict)
    readings: list[Readings] = field(default_factory=list)
    bounds: Tensor | None = None
    """Of the adjoint clip, float64 [R]."""
    clamped: Tensor | None = None
    """With the adjoint clip: the share of the entries of dL/da_t that were clamped, [R]."""
    gates: Callable[[], list[list[Tensor]]] = list
    """By layer and gate: activations [R, T, B, H]."""
    direct_rows: Tensor | None = None
    """dL/dh_t of the top layer through the read-out alone, [R, S, B, H]."""
    layer_inputs: list[Tensor] = field(default_factory=list)
    """By layer, of a general pass: its input [R, T, B, I]."""
    layer_states: list[tuple[Tensor, ...]] = field(default_factory=list)
    """By layer, of a general pass: its states [R, T, B, H]."""
    traces: list[fast.Trace] = field(default_factory=list)
    """By layer, where the compiled scan ran."""
    upstream: fast.Upstream | None = None
    """There, the direct rows as they reach the top layer."""


class Scratch:
    """The memory that fast passes reuse: one workspace a layer, and one for the network."""

    def __init__(self, layers: int) -> None:
        self.layers = [fast.Workspace() for _ in range(layers)]
        self._places: tuple[Objective, Tensor, int, Places] | None = None

    def places(self, objective: Objective, lengths: Tensor, T: int) -> Places:
        """The places of the loss; those of last time where the lengths are the very same tensor."""
        held = self._places
        if held is None or held[1] is not lengths or held[0] is not objective or held[2] != T:
            held = self._places = (objective, lengths, T, objective.places(lengths, T))
        return held[3]


@torch.no_grad()
def fast_forward(network: Network, batch: Sequences, scratch: Scratch) -> list[fast.Trace]:
    """The traces of all layers, on the compiled scan."""
    rule = network.cell.rule()
    assert rule is not None
    inputs, traces = fast.Inputs(batch.x), []
    for layer, work in zip(network.layers, scratch.layers, strict=True):
        traces.append(fast.forward(rule, inputs, layer, batch.lengths, work))
        inputs = fast.Inputs(traces[-1].hs, shift=1)
    return traces


@torch.no_grad()
def fast_pass(
    network: Network, batch: Sequences, objective: Objective, scratch: Scratch, *, bound: Bound = None
) -> Pass:
    """Forward and backward on the compiled scan (CPU; a cell with a rule)."""
    bounds = _bounds(bound, network)
    traces = fast_forward(network, batch, scratch)
    places = scratch.places(objective, batch.lengths, batch.x.shape[1])
    targets = objective.targets(batch.y, places)
    top = head(network, objective, places, places.gather(traces[-1].hs, shift=1), targets)
    found = Pass(top.losses, top.outputs, targets, places, direct_rows=top.direct)
    upstream = fast.Upstream(Scaled.near(top.direct, batch.x.dtype), places.slots)
    found.upstream, clamped = upstream, torch.zeros(network.replicas, dtype=torch.int64)
    by_name: dict[str, Scaled] = {}
    for index in reversed(range(network.shape.layers)):
        adjoint = fast.backward(traces[index], upstream, scratch.layers[index], bounds=bounds, wants_dx=index > 0)
        found.readings.insert(0, Readings(by_state(network.cell, adjoint.squares, bounds), adjoint.exponents))
        if index:
            upstream = _handed_down(adjoint)
        if bounds is not None:
            clamped = clamped + adjoint.clipped.sum(1)
        by_name |= {f"layer{index}.{name}": Scaled(sums, adjoint.sums_exponent) for name, sums in adjoint.sums.items()}
    by_name |= top.gradients
    found.gradients = {name: by_name[name] for name in network.parameters}
    found.bounds = bounds
    found.clamped = clamped.double() / _entries(network, batch) if bounds is not None else None
    found.gates = lambda: [trace.gates() for trace in traces]
    found.traces = traces
    return found


def _bounds(bound: Bound, network: Network) -> Tensor | None:
    if bound is None:
        return None
    device = network.parameters["readout.b"].device
    return torch.as_tensor(bound, dtype=torch.float64, device=device).expand(network.replicas).contiguous()


def by_state(cell: Cell, squares: Tensor, bounds: Tensor | None) -> dict[str, Tensor]:
    """The compiled scan's squares [..., 4] by the name of the state."""
    names = [*cell.states, *(["a", "a_clipped"] if bounds is not None else [])]
    return {name: squares[..., SQUARES.index(name)] for name in names}


def general_forward(network: Network, batch: Sequences) -> Tensor:
    """The top layer's hidden states [R, T, B, H], by the cell's definition."""
    x = batch.x
    for layer in network.layers:
        x = _general_layer(network.cell, layer, x, batch.lengths).h
    return x


@torch.enable_grad()
def general_pass(network: Network, batch: Sequences, objective: Objective, *, bound: Bound = None) -> Pass:
    """Forward and backward by autograd over the cell's definition (any device, any cell)."""
    bounds = _bounds(bound, network)
    leaves = {name: p.detach().requires_grad_() for name, p in network.parameters.items()}
    copy = Network(network.cell, network.shape, leaves)
    traces, inputs = [], []
    x = batch.x
    for layer in copy.layers:
        inputs.append(x)
        traces.append(_general_layer(network.cell, layer, x, batch.lengths, bounds))
        x = traces[-1].h
    places = objective.places(batch.lengths, x.shape[1])
    read = places.gather(x).double()
    outputs, targets = copy.read_out(read), objective.targets(batch.y, places)
    losses = objective.losses(outputs, targets, places)
    states = [part for trace in traces for state in trace.states for part in state]
    wanted = [*leaves.values(), read, *states]
    values = torch.autograd.grad(losses.sum(), wanted, allow_unused=True, materialize_grads=True)
    found = Pass(losses.detach(), outputs.detach(), targets, places, direct_rows=values[len(leaves)])
    none = torch.zeros(network.replicas, dtype=torch.int64, device=x.device)
    found.gradients = {name: Scaled(value, none) for name, value in zip(leaves, values, strict=False)}
    adjoints = iter(values[len(leaves) + 1 :])
    for trace in traces:
        by_state = [
            torch.stack(parts, 1) for parts in zip(*([next(adjoints) for _ in s] for s in trace.states), strict=True)
        ]
        found.readings.append(_general_readings(network.cell, trace, by_state, bounds))
    if bounds is not None:
        found.bounds = bounds
        found.clamped = _clamped(traces, bounds, network.replicas).double() / _entries(network, batch)
    found.gates = lambda: [
        [torch.stack(gate, 1).detach() for gate in zip(*trace.gates, strict=True)] for trace in traces
    ]
    found.layer_inputs = [one.detach() for one in inputs]
    found.layer_states = [
        tuple(torch.stack(parts, 1).detach() for parts in zip(*trace.states, strict=True)) for trace in traces
    ]
    return found


def _general_layer(cell: Cell, layer: Layer, x: Tensor, lengths: Tensor, bounds: Tensor | None = None) -> general.Trace:
    gx = torch.baddbmm(layer.b[:, None], x.flatten(1, 2), layer.W_ih).unflatten(1, x.shape[1:3])
    return general.forward(cell.definition, gx, layer.W_hh, layer.b_hh, lengths, states=len(cell.states), bounds=bounds)


def _general_readings(cell: Cell, trace: general.Trace, adjoints: list[Tensor], bounds: Tensor | None) -> Readings:
    rows = dict(zip(cell.states, adjoints, strict=True))
    if bounds is not None:
        T = range(len(trace.states))
        nothing = torch.zeros_like(torch.cat(trace.gates[0], -1))
        rows["a"] = torch.stack([trace.before.get(t, nothing) for t in T], 1)
        rows["a_clipped"] = torch.stack([trace.after.get(t, nothing) for t in T], 1)
    # One exponent a row for all its states; squares of float64 values may leave float64's range without it.
    mantissa, exponents = Scaled.of(torch.cat(list(rows.values()), -1).double())
    parts = mantissa.split([value.shape[-1] for value in rows.values()], -1)
    squares = {name: part.square().sum(-1) for name, part in zip(rows, parts, strict=True)}
    return Readings(squares, exponents, "float32" if adjoints[0].dtype == torch.float32 else "float64")


def _clamped(traces: list[general.Trace], bounds: Tensor, replicas: int) -> Tensor:
    counts = [(g.abs() > bounds[:, None, None]).sum((1, 2)) for trace in traces for g in trace.before.values()]
    return torch.stack(counts).sum(0) if counts else torch.zeros(replicas, device=traces[0].states[0][0].device)


def _handed_down(adjoint: fast.Adjoint) -> fast.Upstream:
    rows, exponents = adjoint.dx, adjoint.exponents
    if rows.dtype == torch.float64:  # the scan's squares hold float32's whole range, but not float64's
        rows, more = Scaled.near(rows, rows.dtype)
        exponents = exponents + more
    return fast.Upstream(Scaled(rows, exponents), _every_timestep(rows))


def _every_timestep(rows: Tensor) -> Tensor:
    R, T, B, _ = rows.shape
    return torch.arange(T)[None, :, None].expand(R, T, B)


def _entries(network: Network, batch: Sequences) -> Tensor:
    """How many pre-activations a batch has, in all layers: [R]."""
    return batch.lengths.sum(1) * len(network.cell.gates) * network.shape.hidden * network.shape.layers
