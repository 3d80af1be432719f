"""A pass on the general scan: autograd over the cell's definition (any device, any cell)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from rnnlab.cells import Cell
from rnnlab.gradients.direct import log10_direct
from rnnlab.gradients.norm_tables import Floats, Table, masked_columns, to_numpy
from rnnlab.gradients.pass_base import Bound, Pass, Readings, Sequences, bounds_of, share_of_entries
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective
from rnnlab.scan import general
from rnnlab.scan.layer import Layer
from rnnlab.scan.scaled import Scaled


@final
@dataclass(frozen=True, kw_only=True)
class AutogradPass(Pass):
    """A pass under autograd. It owns its tensors; direct gradients need the weights that it was made with.

    >>> from rnnlab.cells import Gru
    >>> from rnnlab.inits import Inits
    >>> from rnnlab.network.network import Shape, draw
    >>> shape = Shape(inputs=2, hidden=3, layers=1, outputs=1, recurrent_bias=True)
    >>> network = Network.stack(Gru(), shape, [draw(Gru(), shape, Inits(), seed=0)])
    >>> batch = Sequences(torch.ones(1, 5, 4, 2), torch.zeros(1, 4, 1), lengths=torch.full((1, 4), 5))
    >>> general_pass(network, batch, Objective("value", "last", False)).readings[0].limited
    'float32'
    """

    traces: list[general.Trace]
    """By layer."""
    inputs: list[Tensor]
    """By layer: what it read, [R, T, B, I]."""
    direct_rows: Tensor
    """dL/dh_t of the top layer through the read-out alone, float64 [R, S, B, H]."""

    @cached_property
    def states(self) -> list[tuple[Tensor, ...]]:
        """By layer: its states, each [R, T, B, H]."""
        return [
            tuple(torch.stack(parts, 1).detach() for parts in zip(*trace.states, strict=True)) for trace in self.traces
        ]

    def gates(self) -> list[list[Tensor]]:
        """By layer and gate: activations [R, T, B, H]."""
        return [[torch.stack(gate, 1).detach() for gate in zip(*trace.gates, strict=True)] for trace in self.traces]

    def direct_log10(self, network: Network, index: int) -> dict[str, Tensor]:
        """By state, log10 of the row norms [R, S, B] of a layer's direct gradients, at the read-out timesteps."""
        rows = Scaled.of(self.direct_rows)
        return log10_direct(network, self.inputs, self.states, self.read_out, rows, self.bounds, index)

    def norm_tables(self, network: Network, lengths: Tensor) -> Iterator[Table]:
        """Norms and percentiles [R, T] of total and direct gradients, for each layer and state; lengths [R, B]."""
        for index, readings in enumerate(self.readings):
            direct = self.direct_log10(network, index)
            for state, squares in readings.squares.items():
                at_all = self._at_all_timesteps(direct[state])
                yield index, state, masked_columns(squares, readings.exponents, at_all, lengths, readings.limited)

    def _at_all_timesteps(self, logs: Tensor) -> Floats:
        """log10 values [R, S, B] at the read-out timesteps to [R, T, B], -inf where nothing is read out."""
        slots = self.read_out.slots
        rows: Floats = to_numpy(logs.gather(1, slots.clamp(min=0)).where(slots >= 0, -torch.inf))
        return rows


def general_forward(network: Network, batch: Sequences) -> Tensor:
    """The top layer's hidden states [R, T, B, H], by the cell's definition."""
    x = batch.x
    for layer in network.layers:
        x = _layer_forward(network.cell, layer, x, batch.lengths).h
    return x


@torch.enable_grad()
def general_pass(network: Network, batch: Sequences, objective: Objective, *, bound: Bound = None) -> AutogradPass:
    """Forward and backward by autograd over the cell's definition."""
    bounds = bounds_of(bound, network)
    leaves = {name: p.detach().requires_grad_() for name, p in network.parameters.items()}
    copy = Network(network.cell, network.shape, leaves)
    traces: list[general.Trace] = []
    inputs = [batch.x]
    for layer in copy.layers:
        traces.append(_layer_forward(network.cell, layer, inputs[-1], batch.lengths, bounds))
        inputs.append(traces[-1].h)
    top = inputs.pop()
    read_out = objective.read_out(batch.lengths, top.shape[1])
    read = read_out.gather(top).double()
    outputs, targets = copy.read_out(read), objective.targets(batch.y, read_out)
    losses = objective.losses(outputs, targets, read_out)
    states = [part for trace in traces for state in trace.states for part in state]
    values = torch.autograd.grad(
        losses.sum(), [*leaves.values(), read, *states], allow_unused=True, materialize_grads=True
    )
    none = torch.zeros(network.replicas, dtype=torch.int64, device=top.device)
    adjoints = iter(values[len(leaves) + 1 :])
    return AutogradPass(
        losses=losses.detach(),
        outputs=outputs.detach(),
        targets=targets,
        read_out=read_out,
        gradients={name: Scaled(value, none) for name, value in zip(leaves, values, strict=False)},
        readings=[_readings(network.cell, trace, _by_state(trace, adjoints), bounds) for trace in traces],
        bounds=bounds,
        clamped=None
        if bounds is None
        else share_of_entries(_clamped(traces, bounds, network.replicas), network, batch),
        traces=traces,
        inputs=[x.detach() for x in inputs],
        direct_rows=values[len(leaves)],
    )


def _layer_forward(cell: Cell, layer: Layer, x: Tensor, lengths: Tensor, bounds: Tensor | None = None) -> general.Trace:
    gx = torch.baddbmm(layer.b[:, None], x.flatten(1, 2), layer.W_ih).unflatten(1, x.shape[1:3])
    return general.forward(cell.definition, gx, layer.W_hh, layer.b_hh, lengths, states=len(cell.states), bounds=bounds)


def _by_state(trace: general.Trace, adjoints: Iterator[Tensor]) -> list[Tensor]:
    """The next adjoints, which come timestep by timestep and state by state, as [R, T, B, H] by state."""
    by_timestep = ([next(adjoints) for _ in state] for state in trace.states)
    return [torch.stack(parts, 1) for parts in zip(*by_timestep, strict=True)]


def _readings(cell: Cell, trace: general.Trace, adjoints: list[Tensor], bounds: Tensor | None) -> Readings:
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
    """How many entries of dL/da_t are beyond the bounds, [R]."""
    counts = [(g.abs() > bounds[:, None, None]).sum((1, 2)) for trace in traces for g in trace.before.values()]
    return torch.stack(counts).sum(0) if counts else torch.zeros(replicas, device=traces[0].states[0][0].device)
