"""Adjoints by an explicit loop under autograd in float64, and percentiles as gradients.csv has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from oracles import F64, step
from torch import Tensor

from rnnlab.cells import Cell
from rnnlab.gradients.passes import Sequences
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective


def adjoints(network: Network, batch: Sequences, objective: Objective, r: int, recurrent: bool) -> dict[Any, Tensor]:
    """dL/dh_t, dL/dc_t and dL/da_t [T, B, ...] of one replica, by (layer, state).

    With `recurrent` off, no gradient travels from a timestep to the one before: what is left is the direct part.
    """
    x, T, B = batch.x[r], batch.x.shape[1], batch.x.shape[2]
    W = {name: value[r] for name, value in network.parameters.items()}
    kept: dict[Any, list[Tensor]] = {}
    rows = list(x)
    for layer in range(network.shape.layers):
        p = {name.split(".")[1]: value for name, value in W.items() if name.startswith(f"layer{layer}.")}
        state = tuple(torch.zeros(B, network.shape.hidden, dtype=F64, requires_grad=True) for _ in network.cell.states)
        for t in range(T):
            nudge = torch.zeros(B, p["b"].shape[0], dtype=F64, requires_grad=True)
            before = state if recurrent else tuple(part.detach() for part in state)
            state = step(network.cell, rows[t], before, {**p, "b": p["b"] + nudge / _factor(network.cell, p)})
            for name, part in zip((*network.cell.states, "a"), (*state, nudge), strict=True):
                kept.setdefault((layer, name), []).append(part)
        rows = kept[layer, "h"]
    losses = [
        cross_entropy(rows[t][b] @ W["readout.W"] + W["readout.b"], int(batch.y[r, b]))
        for b, length in enumerate(batch.lengths[r].tolist())
        for t in _read_out(objective.placement, length)
    ]
    wanted = [part for parts in kept.values() for part in parts]
    loss = torch.stack(losses).mean()
    values = iter(torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True))
    return {key: torch.stack([next(values) for _ in parts]) for key, parts in kept.items()}


def _factor(cell: Cell, p: dict[str, Tensor]) -> Tensor:
    """What an lru multiplies its pre-activation by: what arrives at the state, and is called a, comes after it."""
    if cell.name != "lru":
        return torch.ones(1, dtype=F64)
    gamma, H = p["gamma_log"][0].exp(), p["b"].shape[0]
    return torch.cat([gamma, gamma[: H // 2]])


def cross_entropy(output: Tensor, y: int) -> Tensor:
    """log(1 + sum_{k != y} exp(o_k - o_y)): torch's own is off in the ninth digit once it is confident."""
    lead = output - output[y]
    return torch.log1p(torch.cat([lead[:y], lead[y + 1 :]]).exp().sum())


def log10(values: Any) -> Any:
    with np.errstate(divide="ignore"):
        return np.log10(np.asarray(values))


def percentiles(norms: np.ndarray) -> np.ndarray:
    """numpy's, of log10 values; one that lies on or beside a zero is a zero."""
    logs, percents = log10(norms), (5, 50, 95)
    held = np.maximum(logs, -1e9)
    found = np.percentile(held, percents)
    return np.where(np.isneginf(np.percentile(logs, percents, method="lower")), -np.inf, found)


def _read_out(placement: Any, length: int) -> list[int]:
    if placement == "all":
        return list(range(length))
    return [length - 1] if placement == "last" else [placement % length]
