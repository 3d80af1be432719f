"""What a probe sees of one batch, without a training."""

from __future__ import annotations

from typing import Any

import torch
from oracles import F64, make_batch, make_network, step
from scans import run
from torch import Tensor

from rnnlab.cells import Cell
from rnnlab.gradients.view import UpdateView
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective

ALL = Objective("value", "all", per_timestep=True)
LAST_VALUE = Objective("value", "last", per_timestep=False)


def view_of(cell: Cell, objective: Objective = LAST_VALUE, *, gain: float = 1.0, T: int = 8, B: int = 3,
            ragged: bool = True, **network: Any) -> UpdateView:  # fmt: skip
    """Two replicas with ragged sequences and two layers, unless asked otherwise; the passes run on the general scan."""
    made = make_network(cell, **{"R": 2, "layers": 2, **network})
    for name, tensor in made.parameters.items():
        if ".W_h" in name:
            tensor *= gain
    return view_on(made, objective, T=T, B=B, ragged=ragged)


def view_on(network: Network, objective: Objective = LAST_VALUE, **batch: Any) -> UpdateView:
    """What a probe sees of this network."""
    given = make_batch(objective, R=network.replicas, inputs=network.shape.inputs, **batch)
    return UpdateView(0, network, run("general", network, given, objective), given, objective)


def parameters_of(network: Network, layer: int, r: int) -> dict[str, Tensor]:
    """Of one layer of a replica, by the names that the oracle's `step` takes."""
    prefix = f"layer{layer}."
    return {name.removeprefix(prefix): W[r] for name, W in network.parameters.items() if name.startswith(prefix)}


def states_of(view: UpdateView, layer: int, r: int, b: int) -> list[Tensor]:
    """A layer's states s_{-1}, s_0, ... of one sample, in a plain loop: [N] each."""
    x = list(view.batch.x[r, : view.lengths[r, b], b])
    states: list[Tensor] = []
    for index in range(layer + 1):
        p = parameters_of(view.network, index, r)
        state = (torch.zeros(1, view.network.shape.hidden, dtype=F64),) * len(view.network.cell.states)
        states = [torch.cat(state, -1)[0]]
        for x_t in x:
            state = step(view.network.cell, x_t[None], state, p)
            states.append(torch.cat(state, -1)[0])
        x = [s[: view.network.shape.hidden] for s in states[1:]]
    return states


def map_of(view: UpdateView, layer: int, r: int, b: int, t: int) -> Any:
    """s_{t-1} [N] to s_t [N], written apart from the package."""
    below = list(view.batch.x[r, :, b]) if layer == 0 else [s[: view.network.shape.hidden]
                                                            for s in states_of(view, layer - 1, r, b)[1:]]  # fmt: skip
    p, count = parameters_of(view.network, layer, r), len(view.network.cell.states)

    def mapped(s: Tensor) -> Tensor:
        after = step(view.network.cell, below[t][None], s[None].chunk(count, -1), p)
        return torch.cat(after, -1)[0]

    return mapped
