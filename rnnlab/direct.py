"""The direct gradient: what reaches a state at t through the read-out at t alone.

It needs no loop over time, so one pass of the cell's definition under autograd serves every scan; it is taken only
where something is measured.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnnlab.network import Network
from rnnlab.passes import Pass


def direct_squares(network: Network, found: Pass, index: int) -> dict[str, Tensor]:
    """Squared row norms [R, S, B] of the direct gradients of one layer: dL/d(state_t) through the read-out at t alone.

    From the top layer down through the layers above at the same timestep, with their recurrence held still. On the
    definition, under autograd, so it serves every scan; it is called when something is measured only.
    """
    assert found.direct_rows is not None
    rows = found.direct_rows
    for above in reversed(range(index + 1, network.shape.layers)):
        gx_gradient, _ = _through_cell(network, found, above, rows)
        rows = torch.bmm(gx_gradient.flatten(1, 2), network.layer(above).W_ih.mT).unflatten(1, rows.shape[1:3])
    squares = {"h": _squares(rows)}
    if len(network.cell.states) > 1 or found.clamped is not None:
        gx_gradient, second = _through_cell(network, found, index, rows)
        squares |= {name: _squares(value) for name, value in zip(network.cell.states[1:], second, strict=True)}
        squares["a"] = squares["a_clipped"] = _squares(gx_gradient)
    return squares


@torch.enable_grad()
def _through_cell(network: Network, found: Pass, index: int, rows: Tensor) -> tuple[Tensor, list[Tensor]]:
    """One timestep of one layer back, at the places: from dL/dh to dL/d(gx) and dL/d(the other states)."""
    cell, layer, places = network.cell, network.layer(index), found.places
    x = places.gather(found.layer_inputs[index])
    before = [places.gather(state) for state in _delayed(found.layer_states[index])]
    gx = torch.baddbmm(layer.b[:, None], x.flatten(1, 2), layer.W_ih).unflatten(1, x.shape[1:3])
    gx = gx.detach().requires_grad_()
    gh = torch.bmm(before[0].flatten(1, 2), layer.W_hh).unflatten(1, x.shape[1:3])
    if layer.b_hh is not None:
        gh = gh + layer.b_hh[:, None, None]
    state, _ = cell.definition(gx, gh, tuple(before))
    # Places that are none (padding) have no direct gradient, so whatever state stands there counts for nothing.
    gradients = torch.autograd.grad(state[0], [gx, *state[1:]], rows)
    return gradients[0], list(gradients[1:])


def _delayed(states: tuple[Tensor, ...]) -> list[Tensor]:
    """The state before each timestep: zero, then all but the last."""
    return [torch.cat([torch.zeros_like(state[:, :1]), state[:, :-1]], 1) for state in states]


def _squares(rows: Tensor) -> Tensor:
    return rows.double().square().sum(-1)
