"""Slow, obvious and without a range: gradients of one replica in 30 decimal digits, however large or small.

States go forward in float64 by the cell's definition; the derivatives of one timestep are torch's, through that
definition; what is carried back from timestep to timestep are numbers of Python's `decimal`, whose powers of ten reach
10^18 digits. (mpmath's numbers do as well, and take ten times as long.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnlab.cells import Cell
from rnnlab.gradients.passes import Sequences
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective

PRECISE = Context(prec=30, Emin=MIN_EMIN, Emax=MAX_EMAX)
Numbers = Any
"""An array of Decimals."""


@contextmanager
def no_range() -> Iterator[None]:
    with localcontext(PRECISE):
        yield


def numbers(values: Any) -> Numbers:
    """float64 values as Decimals."""
    array = np.asarray(values.detach() if isinstance(values, Tensor) else values, np.float64)
    flat = np.empty(array.size, object)
    flat[:] = [PRECISE.create_decimal_from_float(value) for value in array.ravel().tolist()]
    return flat.reshape(array.shape)


def log10(value: Decimal) -> float:
    if value == 0:
        return -math.inf
    power = value.adjusted()
    return math.log10(float(value.scaleb(-power))) + power


def log10_norms(rows: Numbers) -> np.ndarray:
    """log10 of the norm over the last axis."""
    squares = (rows * rows).sum(-1)
    return np.array([log10(square) / 2 for square in squares.ravel()]).reshape(squares.shape)


@dataclass
class Truth:
    """log10 row norms [T, B] by (layer, state), in all and through the read-out at t alone; the gradient of every
    parameter; the share of dL/da_t that was clamped."""

    norms: dict[tuple[int, str], np.ndarray] = field(default_factory=dict)
    direct: dict[tuple[int, str], np.ndarray] = field(default_factory=dict)
    gradients: dict[str, Numbers] = field(default_factory=dict)
    clamped: float = 0.0

    def gradient(self) -> Numbers:
        """All parameters in one row, in the order of `gradients`."""
        return np.concatenate([one.ravel() for one in self.gradients.values()])


@dataclass(frozen=True)
class Walk:
    """One layer's way forward: its input and the state h before each timestep, and the slopes of each timestep.

    slopes: by state after, the derivatives by (input pre-activation, recurrent one, *states before). A cell acts unit
    by unit, so each is a number a unit and gate: [T, B, G*H] or [T, B, H]. h_by_c: the derivatives of h_t by the other
    states at t.
    """

    x: Numbers
    before: Numbers
    slopes: list[list[Numbers]]
    h_by_c: list[Numbers]


def truth(network: Network, batch: Sequences, objective: Objective, bound: float | None = None) -> Truth:
    """What a pass of a network of one replica should find."""
    with no_range():
        p = {name: value[0].double() for name, value in network.parameters.items() if name.startswith("readout")}
        walks, x = [], batch.x[0].double()
        for layer in range(network.shape.layers):
            p |= {f"layer{layer}.{name}": value[0] for name, value in weights_of(network, layer).items()}
            walk, x = forward(network.cell, x, of_layer(p, layer))
            walks.append(walk)
        h, W = numbers(x), {name: numbers(value) for name, value in p.items()}
        d = slopes_of_loss(h @ W["readout.W"] + W["readout.b"], batch, objective)
        found = Truth()
        found.gradients["readout.W"], found.gradients["readout.b"] = over_rows(h, d), d.sum((0, 1))
        total = direct = d @ W["readout.W"].T
        limit, clamped = None if bound is None else Decimal(bound), 0
        for layer in reversed(range(network.shape.layers)):
            w, states = of_layer(W, layer), network.cell.states
            total, count = backward(walks[layer], total, w, limit, layer, states, found)
            direct = at_once(walks[layer], direct, w, limit, layer, states, found)
            clamped += count
        entries = int(batch.lengths.sum()) * network.shape.layers * len(network.cell.gates) * network.shape.hidden
        found.clamped = clamped / entries
        of_weights, found.gradients = found.gradients, {}
        for layer in range(network.shape.layers):
            found.gradients |= of_parameters(network, layer, of_layer(of_weights, layer))
        found.gradients |= {name: of_weights[name] for name in network.parameters if name.startswith("readout")}
        return found


def weights_of(network: Network, layer: int) -> dict[str, Tensor]:
    """What multiplies, float64 [1, ...], from the parameters of a layer; zeros for a product that the cell has not."""
    parameters = {name: value.double() for name, value in of_layer(network.parameters, layer).items()}
    weights = network.cell.weights(parameters)
    if not network.cell.recurrent:
        weights["W_hh"] = weights["b"].new_zeros(1, network.shape.hidden, weights["b"].shape[1])
    return weights


def of_parameters(network: Network, layer: int, of_weights: dict[str, Numbers]) -> dict[str, Numbers]:
    """The gradients of the parameters from those of what multiplies, by the Jacobian of `Cell.weights`."""
    own = of_layer(network.parameters, layer)
    if not network.cell.parametrised:
        return {f"layer{layer}.{name}": of_weights[name] for name in own}
    names, values = list(own), tuple(value.double() for value in own.values())
    of_names = list(network.cell.weights(own))

    def weights(*parameters: Tensor) -> tuple[Tensor, ...]:
        computed = network.cell.weights(dict(zip(names, parameters, strict=True)))
        return tuple(computed[name] for name in of_names)

    jacobians = torch.autograd.functional.jacobian(weights, values)
    gradients = {}
    for k, name in enumerate(names):
        count = values[k].numel()
        flat = sum(
            of_weights[weight].ravel() @ numbers(jacobian[k].reshape(-1, count))
            for weight, jacobian in zip(of_names, jacobians, strict=True)
        )
        gradients[f"layer{layer}.{name}"] = flat.reshape(values[k].shape[1:])
    return gradients


def of_layer(parameters: dict[str, Any], layer: int) -> dict[str, Any]:
    at = f"layer{layer}."
    return {name.removeprefix(at): value for name, value in parameters.items() if name.startswith(at)}


def forward(cell: Cell, x: Tensor, p: dict[str, Tensor]) -> tuple[Walk, Tensor]:
    """One layer over all timesteps, padding included; the hidden states [T, B, H] beside."""
    T, B, H = *x.shape[:2], p["W_hh"].shape[0]
    states = [(torch.zeros(B, H, dtype=torch.float64),) * len(cell.states)]
    gx = x @ p["W_ih"] + p["b"]
    for t in range(T):
        gh = states[-1][0] @ p["W_hh"] + p.get("b_hh", 0)
        states.append(one_timestep(cell, gx[t], gh, states[-1]))
    before, after = ([torch.stack(parts) for parts in zip(*some, strict=True)] for some in (states[:-1], states[1:]))
    gh = before[0] @ p["W_hh"] + p.get("b_hh", 0)
    leaves = [one.detach().requires_grad_() for one in (gx, gh, *before)]
    here = one_timestep(cell, leaves[0], leaves[1], tuple(leaves[2:]))
    slopes = [[numbers(one) for one in derivatives(part, leaves)] for part in here]
    h_by_c = [numbers(one) for one in derivatives(here[0], list(here[1:]))]
    return Walk(numbers(x), numbers(before[0]), slopes, h_by_c), after[0]


def one_timestep(cell: Cell, gx: Tensor, gh: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The states after, of a cell without a recurrent product too; shapes [..., B, *]."""
    if cell.owns_step:
        after, _ = cell.step(gx, state, None)  # type: ignore[arg-type]
        return after
    return cell.definition(gx, gh, state)[0]


def derivatives(part: Tensor, by: list[Tensor]) -> list[Tensor]:
    if not by:
        return []
    return list(torch.autograd.grad(part.sum(), by, retain_graph=True, allow_unused=True, materialize_grads=True))


def slopes_of_loss(outputs: Numbers, batch: Sequences, objective: Objective) -> Numbers:
    """dL/d(outputs) [T, B, O]: zero wherever nothing is read out."""
    lengths, y = batch.lengths[0].tolist(), batch.y[0]
    places = [(t, b) for b, n in enumerate(lengths) for t in (range(n) if objective.placement == "all" else [n - 1])]
    d = numbers(np.zeros(outputs.shape))
    for t, b in places:
        target = (y[t, b] if objective.per_timestep else y[b]).numpy()
        if objective.kind == "value":
            d[t, b] = 2 * (outputs[t, b] - numbers(target)) / outputs.shape[-1]
        else:
            raised = np.array([one.exp() for one in outputs[t, b]])
            d[t, b] = raised / raised.sum()
            d[t, b, int(target)] -= 1
    return d / len(places)


def over_rows(x: Numbers, d: Numbers) -> Numbers:
    """sum over t and b of x^T d."""
    return x.reshape(-1, x.shape[-1]).T @ d.reshape(-1, d.shape[-1])


def through(slopes: list[list[Numbers]], t: Any, adjoints: list[Numbers], to: int) -> Numbers:
    """From the gradients of the states after a timestep to that of one of what they are made of."""
    parts = [by[to][t] for by in slopes]
    repeats = parts[0].shape[-1] // adjoints[0].shape[-1]
    return sum(part * np.tile(d, repeats) for part, d in zip(parts, adjoints, strict=True))


def clamp(rows: Numbers, bound: Decimal | None) -> Numbers:
    return rows if bound is None else np.clip(rows, -bound, bound)


def backward(
    walk: Walk, arriving: Numbers, W: dict[str, Numbers], bound: Decimal | None, layer: int,
    states: tuple[str, ...], found: Truth,
) -> tuple[Numbers, int]:  # fmt: skip
    """One layer from the last timestep to the first; dL/dx_t, and how many entries were clamped."""
    zero, T = numbers(np.zeros(arriving.shape[1:])), len(arriving)
    adjoints, clamped = [zero for _ in states], 0
    rows: dict[str, list[Numbers]] = {name: [] for name in (*states, "a", "a_clipped", "gh")}
    for t in reversed(range(T)):
        adjoints[0] = adjoints[0] + arriving[t]
        seconds = [d + adjoints[0] * by[t] for d, by in zip(adjoints[1:], walk.h_by_c, strict=True)]
        a, gh = (through(walk.slopes, t, adjoints, to) for to in (0, 1))
        a_clipped, gh = clamp(a, bound), clamp(gh, bound)
        clamped += int((a != a_clipped).sum())
        for name, row in zip(rows, (adjoints[0], *seconds, a, a_clipped, gh), strict=True):
            rows[name].append(row)
        adjoints = [through(walk.slopes, t, adjoints, 2 + k) for k in range(len(states))]
        adjoints[0] = adjoints[0] + gh @ W["W_hh"].T
    stacked = {name: np.stack(parts[::-1]) for name, parts in rows.items()}
    gx, gh = stacked["a_clipped"], stacked.pop("gh")
    found.norms |= {(layer, name): log10_norms(values) for name, values in stacked.items()}
    sums = {"W_ih": over_rows(walk.x, gx), "W_hh": over_rows(walk.before, gh), "b": gx.sum((0, 1))}
    sums["b_hh"] = gh.sum((0, 1))
    found.gradients |= {f"layer{layer}.{name}": sums[name] for name in W}
    return gx @ W["W_ih"].T, clamped


def at_once(
    walk: Walk, arriving: Numbers, W: dict[str, Numbers], bound: Decimal | None, layer: int,
    states: tuple[str, ...], found: Truth,
) -> Numbers:  # fmt: skip
    """The direct part of all timesteps of one layer, with the recurrence held still; what reaches the layer below."""
    a = through(walk.slopes[:1], slice(None), [arriving], 0)
    rows = {"a": a, "a_clipped": clamp(a, bound), "h": arriving}
    rows |= {name: arriving * by for name, by in zip(states[1:], walk.h_by_c, strict=True)}
    found.direct |= {(layer, name): log10_norms(values) for name, values in rows.items()}
    return rows["a_clipped"] @ W["W_ih"].T
