"""A pass on the general scan: the cell's definition, a timestep at a time (any device, any cell)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import final

import torch
from torch import Tensor

from rnnlab.gradients.direct import log10_direct
from rnnlab.gradients.head import head
from rnnlab.gradients.norm_tables import Table, masked_tables
from rnnlab.gradients.pass_base import Bound, Pass, Readings, Sequences, bounds_of, share_of_entries
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective
from rnnlab.scan import general
from rnnlab.scan.general_backward import Adjoint, Arriving, KeptRows, backward
from rnnlab.scan.recurrent import Recurrent
from rnnlab.scan.scaled import Scaled


@final
@dataclass(frozen=True, kw_only=True)
class AutogradPass(Pass):
    """A pass on the general scan. It owns its tensors; direct gradients need the weights that it was made with.

    >>> from rnnlab.cells import Gru
    >>> from rnnlab.inits import Inits
    >>> from rnnlab.network.network import Shape, draw
    >>> shape = Shape(inputs=2, hidden=3, layers=1, outputs=1, recurrent_bias=True)
    >>> network = Network.stack(Gru(), shape, [draw(Gru(), shape, Inits(), seed=0)])
    >>> batch = Sequences(torch.ones(1, 5, 4, 2), torch.zeros(1, 4, 1), lengths=torch.full((1, 4), 5))
    >>> general_pass(network, batch, Objective("value", "last", False)).readings[0].lost.any()
    tensor(False)
    """

    traces: list[general.Trace]
    """By layer."""
    inputs: list[Tensor]
    """By layer: what it read, [R, T, B, I]."""
    direct_rows: Tensor
    """dL/dh_t of the top layer through the read-out alone, float64 [R, S, B, H]."""
    rows: list[KeptRows] | None = None
    """By layer, where they are kept: the rows of the total gradient and each timestep's part of the sums."""

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
        return masked_tables(self.readings, partial(self.direct_log10, network), self.read_out, lengths)


@torch.no_grad()
def general_forward(network: Network, batch: Sequences) -> Tensor:
    """The top layer's hidden states [R, T, B, H], by the cell's definition."""
    return _forward(network, batch, back=False)[1]


@torch.no_grad()
def general_pass(
    network: Network,
    batch: Sequences,
    objective: Objective,
    *,
    bound: Bound = None,
    through_h: Tensor | None = None,
    keep: bool = False,
) -> AutogradPass:
    """Forward and backward by the cell's definition, a timestep at a time. keep: the rows of the way back too.

    through_h: for a cell in the product form, factors on the gradient that goes back from the gates of a timestep to
    h_{t-1}, [layers, R, T]; the weights' own gradients are whole.
    """
    bounds = bounds_of(bound, network)
    traces, top, inputs = _forward(network, batch, back=True)
    read_out = objective.read_out(batch.lengths, top.shape[1])
    targets = objective.targets(batch.y, read_out)
    of_top = head(network, objective, read_out, read_out.gather(top), targets)
    arriving = Arriving(Scaled.of(of_top.direct).to(top.dtype), read_out.slots)
    adjoints = _backward(network, traces, inputs, arriving, bounds, through_h, keep)
    by_name = of_top.gradients
    for index, adjoint in enumerate(adjoints):
        by_name |= network.parameter_gradients(index, adjoint.sums)
    return AutogradPass(
        losses=of_top.losses,
        outputs=of_top.outputs,
        targets=targets,
        read_out=read_out,
        gradients={name: by_name[name] for name in network.parameters},
        readings=[Readings(adjoint.squares, adjoint.exponents, adjoint.lost) for adjoint in adjoints],
        bounds=bounds,
        clamped=None if bounds is None else share_of_entries(_clamped(adjoints), network, batch),
        through_h=through_h,
        traces=traces,
        inputs=inputs,
        direct_rows=of_top.direct,
        rows=[adjoint.kept for adjoint in adjoints if adjoint.kept] if keep else None,
    )


def _forward(network: Network, batch: Sequences, *, back: bool) -> tuple[list[general.Trace], Tensor, list[Tensor]]:
    """By layer its trace, the top layer's states, and by layer what it read. back: whether a way back is to follow."""
    traces, inputs, cell = list[general.Trace](), [batch.x], network.cell
    for layer in network.layers:
        timestep = (cell.step, Recurrent(layer, cell.recurrent, cell.gates)) if cell.owns_step else cell.definition
        traces.append(general.forward(timestep, layer, inputs[-1], batch.lengths, states=len(cell.states), back=back))
        inputs.append(traces[-1].h)
    top = inputs.pop()
    return traces, top, inputs


def _backward(
    network: Network,
    traces: list[general.Trace],
    inputs: list[Tensor],
    arriving: Arriving,
    bounds: Tensor | None,
    through_h: Tensor | None,
    keep: bool,
) -> list[Adjoint]:
    """From the top layer down; in the order of the layers."""
    adjoints: list[Adjoint] = []
    for index in reversed(range(network.shape.layers)):
        layer = network.layer(index)
        factors = None if through_h is None else through_h[index].to(layer.b)
        adjoint = backward(
            traces[index], layer, inputs[index], arriving, network.cell.states, bounds, through_h=factors, keep=keep
        )
        adjoints.insert(0, adjoint)
        if index:
            mantissa, exponent = adjoint.dgx
            below = torch.bmm(mantissa.flatten(1, 2), layer.W_ih.mT).unflatten(1, mantissa.shape[1:3])
            arriving = Arriving(Scaled(below, exponent))
    return adjoints


def _clamped(adjoints: list[Adjoint]) -> Tensor:
    """How many entries of dL/da_t are beyond the bounds, in all layers, [R]."""
    counts = [adjoint.clamped for adjoint in adjoints if adjoint.clamped is not None]
    return torch.stack(counts).sum(0)
