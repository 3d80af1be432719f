"""A pass on the compiled scan: the lab's own from the loss to the first layer (CPU; a cell with a rule)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from rnnlab.gradients.direct import compiled_direct
from rnnlab.gradients.head import head
from rnnlab.gradients.norm_tables import Table, compiled_columns
from rnnlab.gradients.pass_base import Bound, Pass, Readings, Sequences, bounds_of, share_of_entries, squares_by_state
from rnnlab.logspace import log10_of_squares
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective, ReadOut
from rnnlab.scan.fast import scan as fast
from rnnlab.scan.scaled import Scaled


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

    traces: list[fast.Trace]
    """By layer."""
    upstream: fast.Upstream
    """dL/dh_t of the top layer through the read-out alone: rows [R, S, B, H]."""

    def gates(self) -> list[list[Tensor]]:
        """By layer and gate: activations [R, T, B, H]."""
        return [trace.gates() for trace in self.traces]

    def direct_readings(self, network: Network) -> list[Readings]:
        """By layer, squared row norms [R, S, B] of the direct gradients dL/d(state_t), at the read-out timesteps."""
        return [
            Readings(squares_by_state(network.cell, squares, self.bounds), exponents)
            for squares, exponents in compiled_direct(network, self.traces, self.upstream, self.read_out, self.bounds)
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
        timesteps = self.read_out.timesteps
        for index, (total, direct) in enumerate(zip(self.readings, self.direct_readings(network), strict=True)):
            columns = compiled_columns(
                total.squares, total.exponents, direct.squares, direct.exponents, lengths, timesteps
            )
            for state in total.squares:
                yield index, state, columns[state]


class Scratch:
    """The memory that passes on the compiled scan reuse: one workspace a layer, and the read-out timesteps.

    A pass overwrites what the pass before it with the same scratch left here.
    """

    def __init__(self, layers: int) -> None:
        self.layers = [fast.Workspace() for _ in range(layers)]
        self._read_out: tuple[Objective, Tensor, int, ReadOut] | None = None

    def read_out(self, objective: Objective, lengths: Tensor, T: int) -> ReadOut:
        """The read-out timesteps; those of last time where the lengths are the very same tensor."""
        held = self._read_out
        if held is None or held[1] is not lengths or held[0] is not objective or held[2] != T:
            held = self._read_out = (objective, lengths, T, objective.read_out(lengths, T))
        return held[3]


@torch.no_grad()
def fast_forward(network: Network, batch: Sequences, scratch: Scratch) -> list[fast.Trace]:
    """The traces of all layers, on the compiled scan; good until the next pass with the same scratch."""
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
) -> CompiledPass:
    """Forward and backward on the compiled scan."""
    bounds = bounds_of(bound, network)
    traces = fast_forward(network, batch, scratch)
    read_out = scratch.read_out(objective, batch.lengths, batch.x.shape[1])
    targets = objective.targets(batch.y, read_out)
    top = head(network, objective, read_out, read_out.gather(traces[-1].hs, shift=1), targets)
    upstream = fast.Upstream(Scaled.near(top.direct, batch.x.dtype), read_out.slots)
    adjoints = _backward(network, traces, upstream, scratch, bounds)
    by_name = top.gradients
    for index, adjoint in enumerate(adjoints):
        sums = {name: Scaled(value, adjoint.sums_exponent) for name, value in adjoint.sums.items()}
        by_name |= network.parameter_gradients(index, sums)
    return CompiledPass(
        losses=top.losses,
        outputs=top.outputs,
        targets=targets,
        read_out=read_out,
        gradients={name: by_name[name] for name in network.parameters},
        readings=[Readings(squares_by_state(network.cell, a.squares, bounds), a.exponents) for a in adjoints],
        bounds=bounds,
        clamped=None if bounds is None else share_of_entries(_clipped(adjoints), network, batch),
        traces=traces,
        upstream=upstream,
    )


def _backward(
    network: Network, traces: list[fast.Trace], upstream: fast.Upstream, scratch: Scratch, bounds: Tensor | None
) -> list[fast.Adjoint]:
    """The backward scan of each layer, from the top layer down; in the order of the layers."""
    adjoints: list[fast.Adjoint] = []
    for index in reversed(range(network.shape.layers)):
        adjoint = fast.backward(traces[index], upstream, scratch.layers[index], bounds=bounds, wants_dx=index > 0)
        adjoints.insert(0, adjoint)
        if index:
            upstream = _to_layer_below(adjoint)
    return adjoints


def _clipped(adjoints: list[fast.Adjoint]) -> Tensor:
    """How many entries of dL/da the adjoint clip clamped in all layers, [R]."""
    return torch.stack([adjoint.clipped for adjoint in adjoints]).sum((0, 2))


def _to_layer_below(adjoint: fast.Adjoint) -> fast.Upstream:
    """dL/dx_t as what reaches the layer below, at every timestep."""
    rows, exponents = adjoint.dx, adjoint.exponents
    if rows.dtype == torch.float64:  # the scan's squares hold float32's whole range, but not float64's
        rows, shift = Scaled.near(rows, rows.dtype)
        exponents = exponents + shift
    R, T, B, _ = rows.shape
    return fast.Upstream(Scaled(rows, exponents), torch.arange(T)[None, :, None].expand(R, T, B))
