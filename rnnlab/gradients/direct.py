"""The direct gradient: what reaches a state at t through the read-out at t alone.

It needs no loop over time. After a compiled scan it comes from the cell's rule and the activations that the scan saved,
else from the cell's definition under autograd, in float64. Either way each row has an exponent, and so the range of the
readings beside it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnnlab.gradients.passes import Pass, Readings, by_state
from rnnlab.network.network import Network
from rnnlab.scan.fast import scan as fast
from rnnlab.scan.scaled import Scaled


def direct_readings(network: Network, found: Pass) -> list[Readings]:
    """By layer, the squared row norms [R, S, B] of the direct gradients at the places of the loss: dL/d(state_t)
    through the read-out at t alone, after a compiled scan.

    From the top layer down through the layers above at the same timestep, with their recurrence held still. With the
    adjoint clip each layer's dL/da_t is clamped on the way, as it is in the scan.
    """
    assert found.upstream is not None
    rows = found.upstream.rows
    only_h = len(network.cell.states) == 1 and found.bounds is None
    readings: list[Readings] = []
    for index, trace in reversed(list(enumerate(found.traces))):
        through = index > 0 or not only_h
        squares, dgx = fast.direct(trace, rows, found.places.times, bounds=found.bounds, through=through)
        readings.insert(0, Readings(by_state(network.cell, squares, found.bounds), rows.exponent))
        if index:
            below = (dgx.flatten(1, 2) @ network.layer(index).W_ih.mT).unflatten(1, dgx.shape[1:3])
            mantissa, shift = Scaled.near(below.double(), below.dtype)
            rows = Scaled(mantissa, rows.exponent + shift)
    return readings


def direct_log10(network: Network, found: Pass, index: int) -> dict[str, Tensor]:
    """log10 of the row norms [R, S, B] of a layer's direct gradients: dL/d(state_t) through the read-out at t alone.

    From the top layer down through the layers above at the same timestep, with their recurrence held still. With the
    adjoint clip each layer's dL/da_t is clamped on the way, as it is in the scan.
    """
    assert found.direct_rows is not None
    rows = Scaled.of(found.direct_rows.double())
    for above in reversed(range(index + 1, network.shape.layers)):
        a, _ = _through_cell(network, found, above, rows)
        a = a.clamped(found.bounds)
        rows = Scaled.of(a.mantissa @ network.layer(above).W_ih.double().mT[:, None], a.exponent)
    logs = {"h": rows.log10_norm()}
    if len(network.cell.states) > 1 or found.bounds is not None:
        a, second = _through_cell(network, found, index, rows)
        logs |= {name: one.log10_norm() for name, one in zip(network.cell.states[1:], second, strict=True)}
        logs |= {"a": a.log10_norm(), "a_clipped": a.clamped(found.bounds).log10_norm()}
    return logs


@torch.enable_grad()
def _through_cell(network: Network, found: Pass, index: int, rows: Scaled) -> tuple[Scaled, list[Scaled]]:
    """One timestep of one layer back, at the places: from dL/dh to dL/da and dL/d(the other states)."""
    cell, layer, places = network.cell, network.layer(index), found.places
    x = places.gather(found.layer_inputs[index]).double()
    before = [places.gather(state).double() for state in _delayed(found.layer_states[index])]
    gx = x @ layer.W_ih.double()[:, None] + layer.b.double()[:, None, None]
    gx = gx.detach().requires_grad_()
    gh = before[0] @ layer.W_hh.double()[:, None]
    if layer.b_hh is not None:
        gh = gh + layer.b_hh.double()[:, None, None]
    state, _ = cell.definition(gx, gh.detach(), tuple(before))
    # Places that are none (padding) have no direct gradient, so whatever state stands there counts for nothing.
    a, *second = torch.autograd.grad(state[0], [gx, *state[1:]], rows.mantissa)
    return Scaled.of(a, rows.exponent), [Scaled.of(one, rows.exponent) for one in second]


def _delayed(states: tuple[Tensor, ...]) -> list[Tensor]:
    """The state before each timestep: zero, then all but the last."""
    return [torch.cat([torch.zeros_like(state[:, :1]), state[:, :-1]], 1) for state in states]
