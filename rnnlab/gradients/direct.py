"""The direct gradient: what reaches a state at t through the read-out at t alone.

It needs no loop over time. After a compiled scan it comes from the cell's rule and the activations that the scan saved,
else from the cell's definition under autograd, in float64. Either way each row has an exponent, and so the range of the
readings beside it.

Both ways go from the top layer down through the layers above at the same timestep, with their recurrence held still.
With the adjoint clip each layer's dL/da_t is clamped on the way, as it is in the scan.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnlab.cells import Cell
from rnnlab.network.network import Network
from rnnlab.network.objective import ReadOut
from rnnlab.scan.fast import scan as fast
from rnnlab.scan.layer import Layer
from rnnlab.scan.recurrent import Recurrent
from rnnlab.scan.scaled import Scaled


def compiled_direct(
    network: Network,
    traces: Sequence[fast.Trace],
    rows: Scaled,
    read_out: ReadOut,
    bounds: Tensor | None,
) -> list[tuple[Tensor, Tensor]]:
    """By layer, squared row norms [R, S, B, 4] of the direct gradients after a compiled scan, and exponents [R, S, B].

    The squares are in the order of SQUARES; rows [R, S, B, H] reach the top layer.
    """
    only_h = len(network.cell.states) == 1 and bounds is None
    by_layer: list[tuple[Tensor, Tensor]] = []
    for index, trace in reversed(list(enumerate(traces))):
        through = index > 0 or not only_h
        squares, dgx = fast.direct(trace, rows, read_out.timesteps, bounds=bounds, through=through)
        by_layer.insert(0, (squares, rows.exponent))
        if index:
            below = (dgx.flatten(1, 2) @ network.layer(index).W_ih.mT).unflatten(1, dgx.shape[1:3])
            mantissa, shift = Scaled.near(below.double(), below.dtype)
            rows = Scaled(mantissa, rows.exponent + shift)
    return by_layer


def log10_direct(
    network: Network,
    inputs: Sequence[Tensor],
    states: Sequence[tuple[Tensor, ...]],
    read_out: ReadOut,
    rows: Scaled,
    bounds: Tensor | None,
    index: int,
) -> dict[str, Tensor]:
    """By state, log10 of the row norms [R, S, B] of the direct gradients of layer `index`, by its definition.

    By layer: inputs [R, T, B, I] and states [R, T, B, H]. rows [R, S, B, H] reach the top layer.
    """
    for above in reversed(range(index + 1, network.shape.layers)):
        a, _ = _through_cell(network, above, inputs[above], states[above], read_out, rows, bounds)
        a = a.clamped(bounds)
        rows = Scaled.of(a.mantissa @ network.layer(above).W_ih.double().mT[:, None], a.exponent)
    logs = {"h": rows.log10_norm()}
    if len(network.cell.states) > 1 or bounds is not None:
        a, others = _through_cell(network, index, inputs[index], states[index], read_out, rows, bounds)
        logs |= {name: other.log10_norm() for name, other in zip(network.cell.states[1:], others, strict=True)}
        logs |= {"a": a.log10_norm(), "a_clipped": a.clamped(bounds).log10_norm()}
    return logs


@torch.enable_grad()
def _through_cell(
    network: Network,
    index: int,
    inputs: Tensor,
    states: tuple[Tensor, ...],
    read_out: ReadOut,
    rows: Scaled,
    bounds: Tensor | None,
) -> tuple[Scaled, list[Scaled]]:
    """One timestep of one layer back, where it is read out: from dL/dh to dL/da and dL/d(the other states)."""
    layer, cell = network.layer(index), network.cell
    x = read_out.gather(inputs).double()
    before = [read_out.gather(state).double() for state in _delayed(states)]
    gx = x @ layer.W_ih.double()[:, None] + layer.b.double()[:, None, None]
    gx = gx.detach().requires_grad_()
    arriving = rows.mantissa
    if cell.owns_step:
        state, arriving = _own_step(cell, layer, gx, before, rows, bounds), arriving.flatten(1, 2)
    else:
        gh = before[0] @ layer.W_hh.double()[:, None]
        if layer.b_hh is not None:
            gh = gh + layer.b_hh.double()[:, None, None]
        state, _ = cell.definition(gx, gh.detach(), tuple(before))
    # Without a read-out (padding) there is no direct gradient, so whatever state is gathered there counts for nothing.
    a, *others = torch.autograd.grad(state[0], [gx, *state[1:]], arriving, allow_unused=True, materialize_grads=True)
    others = [other.view(rows.mantissa.shape) for other in others]
    return Scaled.of(a, rows.exponent), [Scaled.of(other, rows.exponent) for other in others]


def _own_step(
    cell: Cell, layer: Layer, gx: Tensor, before: Sequence[Tensor], rows: Scaled, bounds: Tensor | None
) -> tuple[Tensor, ...]:
    """The states [R, S*B, H] of a cell that owns its step, of which h may hang on the others."""
    wide = Layer(
        layer.W_ih, {name: W.double() for name, W in layer.recurrent.items()}, layer.b,
        None if layer.b_hh is None else layer.b_hh.double(),
    )  # fmt: skip
    recurrent = Recurrent(wide, cell.recurrent, cell.gates)
    if bounds is not None:
        recurrent.limits = rows.limit(bounds).flatten(1, 2)
    states, _ = cell.step(gx.flatten(1, 2), tuple(state.flatten(1, 2) for state in before), recurrent)
    return states


def _delayed(states: tuple[Tensor, ...]) -> list[Tensor]:
    """The state before each timestep: zero, then all but the last."""
    return [torch.cat([torch.zeros_like(state[:, :1]), state[:, :-1]], 1) for state in states]
