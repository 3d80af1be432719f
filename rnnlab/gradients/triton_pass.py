"""A pass on the scan in Triton (CUDA; a cell whose rule is there in Triton). Triton is imported when a pass begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from rnnlab.gradients.direct import log10_direct
from rnnlab.gradients.head import head
from rnnlab.gradients.norm_tables import Table, masked_tables
from rnnlab.gradients.pass_base import Bound, Pass, Readings, Sequences, bounds_of, share_of_entries
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective
from rnnlab.scan.general_backward import Adjoint, Arriving
from rnnlab.scan.scaled import Scaled

if TYPE_CHECKING:
    from rnnlab.scan.cuda import triton_scan


@final
@dataclass(frozen=True, kw_only=True)
class TritonPass(Pass):
    """A pass on the scan in Triton. It owns its tensors; direct gradients need the weights that it was made with."""

    traces: list[triton_scan.Trace]
    """By layer."""
    inputs: list[Tensor]
    """By layer: what it read, [R, T, B, I]."""
    direct_rows: Tensor
    """dL/dh_t of the top layer through the read-out alone, float64 [R, S, B, H]."""

    def gates(self) -> list[list[Tensor]]:
        """By layer and gate: activations [R, T, B, H]."""
        return [trace.gates() for trace in self.traces]

    def direct_log10(self, network: Network, index: int) -> dict[str, Tensor]:
        """By state, log10 of the row norms [R, S, B] of a layer's direct gradients, at the read-out timesteps."""
        rows, states = Scaled.of(self.direct_rows), [trace.states for trace in self.traces]
        return log10_direct(network, self.inputs, states, self.read_out, rows, self.bounds, index)

    def norm_tables(self, network: Network, lengths: Tensor) -> Iterator[Table]:
        """Norms and percentiles [R, T] of total and direct gradients, for each layer and state; lengths [R, B]."""
        return masked_tables(self.readings, partial(self.direct_log10, network), self.read_out, lengths)


@torch.no_grad()
def triton_forward(network: Network, batch: Sequences) -> list[triton_scan.Trace]:
    """The traces of all layers, on the scan in Triton."""
    # Where it is not installed, nothing else here needs it.
    from rnnlab.scan.cuda import triton_scan

    rule = network.cell.rule()
    assert rule is not None
    x, traces = batch.x, list[triton_scan.Trace]()
    for layer in network.layers:
        traces.append(triton_scan.forward(rule, layer, x, batch.lengths))
        x = traces[-1].states[0]
    return traces


@torch.no_grad()
def triton_pass(network: Network, batch: Sequences, objective: Objective, *, bound: Bound = None) -> TritonPass:
    """Forward and backward on the scan in Triton."""
    bounds = bounds_of(bound, network)
    traces = triton_forward(network, batch)
    inputs = [batch.x, *(trace.states[0] for trace in traces)]
    top = inputs.pop()
    read_out = objective.read_out(batch.lengths, top.shape[1])
    targets = objective.targets(batch.y, read_out)
    of_top = head(network, objective, read_out, read_out.gather(top), targets)
    arriving = Arriving(Scaled.of(of_top.direct).to(top.dtype), read_out.slots)
    adjoints = _backward(network, traces, inputs, arriving, bounds)
    by_name = of_top.gradients
    for index, adjoint in enumerate(adjoints):
        by_name |= network.parameter_gradients(index, adjoint.sums)
    counts = [adjoint.clamped for adjoint in adjoints if adjoint.clamped is not None]
    return TritonPass(
        losses=of_top.losses,
        outputs=of_top.outputs,
        targets=targets,
        read_out=read_out,
        gradients={name: by_name[name] for name in network.parameters},
        readings=[Readings(adjoint.squares, adjoint.exponents) for adjoint in adjoints],
        bounds=bounds,
        clamped=share_of_entries(torch.stack(counts).sum(0), network, batch) if counts else None,
        traces=traces,
        inputs=inputs,
        direct_rows=of_top.direct,
    )


def _backward(
    network: Network, traces: list[triton_scan.Trace], inputs: list[Tensor], arriving: Arriving, bounds: Tensor | None
) -> list[Adjoint]:
    """From the top layer down; in the order of the layers."""
    from rnnlab.scan.cuda import triton_scan

    adjoints: list[Adjoint] = []
    for index in reversed(range(network.shape.layers)):
        layer, states = network.layer(index), network.cell.states
        adjoint = triton_scan.backward(traces[index], layer, inputs[index], arriving, states, bounds)
        adjoints.insert(0, adjoint)
        if index:
            mantissa, exponent = adjoint.dgx
            below = torch.bmm(mantissa.flatten(1, 2), layer.W_ih.mT).unflatten(1, mantissa.shape[1:3])
            arriving = Arriving(Scaled(below, exponent))
    return adjoints
