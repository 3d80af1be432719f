"""Laws of a cell: its timestep, its derivative, and its rule if it has one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from rnnlab.cells import Cell
from rnnlab.cells.base import State
from rnnlab.gradients.passes import Pass, Readings, Scratch, Sequences, fast_pass, general_forward, general_pass
from rnnlab.inits import Inits
from rnnlab.network.network import Network, Shape, draw
from rnnlab.network.objective import Objective
from rnnlab.scan.recurrent import Recurrent
from rnnlab.testing.check_parts import check_part
from rnnlab.testing.laws import bits, law, made, random_state_untouched

R, T, B, H, I = 2, 7, 3, 5, 4
TOLERANCE = 1e-10
"""Of float64: how far two ways to one number may lie apart."""
_CENTRAL = 1e-6
"""Step and tolerance of central differences."""


def check_cell(cell: Cell | type[Cell]) -> None:
    """Raise AssertionError unless a cell keeps the laws of cells; it needs no rule.

    Those of every part; a timestep gives a tensor [..., H] for each state and each gate, in the dtype of what it got,
    changes nothing of that, draws no random numbers, and no row of a batch or replica depends on another; autograd's
    derivative of it is that of central differences; the gradient of every parameter on the general scan is that of
    central differences of the loss, which sees a parameter that is used without `parameters.product`, and the norms of
    the total gradients are those of a plain loop under autograd; with a rule, the compiled scan gives the same numbers.
    """
    check_part(cell)
    built = made(cell)
    law(built.gates and built.states, "a cell has `gates` and `states`")
    law(built.states[0] == "h", "the first state is h, which is what the read-out and W_hh read", built.states)
    law(len(built.nonlinearities()) == len(built.gates), "`nonlinearities` has one name a gate", built.nonlinearities())
    law(
        built.forget_gate is None or built.forget_gate in built.gates,
        "`forget_gate` is one of `gates`",
        built.forget_gate,
    )
    named = [gate for gates in built.recurrent.values() for gate in gates]
    law(set(named) <= set(built.gates), "`recurrent` names gates of the cell", named)
    law(
        built.owns_step or [*built.recurrent] == ["W_hh"],
        "more than W_hh is for a cell with a `step`",
        [*built.recurrent],
    )
    for dtype in (torch.float64, torch.float32):
        _check_timestep(built, dtype)
    _check_derivative(built)
    _check_pass(built)


def _network(cell: Cell, dtype: torch.dtype = torch.float64, layers: int = 1) -> Network:
    # Where nothing is multiplied by a state there is no b_hh.
    shape = Shape(inputs=I, hidden=H, layers=layers, outputs=2, recurrent_bias=bool(cell.recurrent))
    given: dict[str, Any] = {"bias": {"name": "normal", "std": 0.3}, "recurrent_bias": {"name": "normal"}}
    inits = Inits.model_validate(given | ({"recurrent": cell.recurrent_init} if cell.recurrent_init else {}))
    return Network.stack(cell, shape, [draw(cell, shape, inits, seed) for seed in range(R)], dtype)


def _timestep(cell: Cell, network: Network, layer: int = 0) -> Callable[..., tuple[State, State]]:
    """One timestep of a layer as a function of gx [R, B, G*H], for a definition also of gh, and of the state."""
    parameters = network.layer(layer)
    if cell.owns_step:
        recurrent = Recurrent(parameters, cell.recurrent, cell.gates)
        return lambda gx, *state: cell.step(gx, state, recurrent)
    return lambda gx, gh, *state: cell.definition(gx, gh, state)


def _inputs(cell: Cell, dtype: torch.dtype) -> list[Tensor]:
    """Random arguments of a timestep."""
    rng, width = torch.Generator().manual_seed(0), len(cell.gates) * H
    widths = [width, *([] if cell.owns_step else [width]), *(H for _ in cell.states)]
    return [torch.randn(R, B, wide, generator=rng, dtype=dtype) for wide in widths]


def _check_timestep(cell: Cell, dtype: torch.dtype) -> None:
    step, given = _timestep(cell, _network(cell, dtype)), _inputs(cell, dtype)
    before = [bits(part) for part in given]
    with torch.no_grad(), random_state_untouched("a timestep"):
        state, gates = step(*given)
        again, _ = step(*given)
    law(
        before == [bits(part) for part in given],
        "a timestep changes nothing of what it is given (no in-place operation)",
    )
    law(len(state) == len(cell.states), "a timestep gives one tensor for each of `states`", len(state))
    law(len(gates) == len(cell.gates), "a timestep gives one activation for each of `gates`", len(gates))
    for part in (*state, *gates):
        law(part.shape == (R, B, H), "states and gates are [..., H]", tuple(part.shape))
        law(part.dtype == dtype, f"states and gates keep the dtype, {dtype}", part.dtype)
    law(all(map(torch.equal, state, again)), "a timestep is a function of what it is given, and has no memory")
    changed = [part.clone() for part in given]
    for part in changed:
        part[:, 1] += 1
        part[1] -= 1
    with torch.no_grad():
        other, _ = step(*changed)
    for part, then in zip(state, other, strict=True):
        kept = part[0, [0, 2]], then[0, [0, 2]]
        law(torch.allclose(*kept, rtol=1e-5, atol=1e-6), "rows and replicas do not meet: none depends on another")


def _check_derivative(cell: Cell) -> None:
    step = _timestep(cell, _network(cell))
    given = [part.requires_grad_() for part in _inputs(cell, torch.float64)]

    def states(*parts: Tensor) -> Tensor:
        return torch.cat(step(*parts)[0], -1)

    direction = torch.randn(states(*given).shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients = torch.autograd.grad((states(*given) * direction).sum(), given, allow_unused=True)
    for part, gradient in zip(given, gradients, strict=True):
        move = torch.randn(part.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        ends = []
        for sign in (1, -1):
            moved = [(other + sign * _CENTRAL * move if other is part else other).detach() for other in given]
            ends.append(float((states(*moved) * direction).sum()))
        measured = (ends[0] - ends[1]) / (2 * _CENTRAL)
        claimed = 0.0 if gradient is None else float((gradient * move).sum())
        law(
            abs(measured - claimed) < _CENTRAL * (1 + abs(measured)),
            "autograd's derivative of a timestep is that of central differences (nothing is detached, none is made up)",
            f"{claimed:.6g} by autograd, {measured:.6g} by differences",
        )


def _check_pass(cell: Cell) -> None:
    network, objective = _network(cell, layers=2), Objective("value", "all", per_timestep=True)
    rng = torch.Generator().manual_seed(3)
    x, y = (torch.randn(R, T, B, size, generator=rng, dtype=torch.float64) for size in (I, 2))
    batch = Sequences(x, y, torch.full((R, B), T))
    passed = general_pass(network, batch, objective)
    _check_total(cell, network, batch, passed)
    for name, weights in network.parameters.items():
        move = torch.randn(weights.shape, generator=rng, dtype=torch.float64)
        ends = []
        for sign in (1, -1):
            moved = {**network.parameters, name: weights + sign * _CENTRAL * move}
            ends.append(general_pass(Network(cell, network.shape, moved), batch, objective).losses)
        measured = (ends[0] - ends[1]) / (2 * _CENTRAL)
        claimed = (passed.gradients[name].plain() * move).flatten(1).sum(1)
        law(
            torch.allclose(measured, claimed, rtol=1e-5, atol=1e-7),
            f"the gradient of {name} is that of central differences of the loss (multiply by `parameters.product`)",
            f"{claimed.tolist()} by the scan, {measured.tolist()} by differences",
        )
    if cell.rule() is not None:
        _check_rule(passed, fast_pass(network, batch, objective, Scratch(2)))


def _check_total(cell: Cell, network: Network, batch: Sequences, passed: Pass) -> None:
    """The total gradients of the top layer, by a plain loop over time that keeps every state."""
    layer, step = network.layer(1), _timestep(cell, network, 1)
    # With a gradient, so that every state has a graph: h_0 hangs on the c_0 that came with it.
    below = _states(cell, network, batch.x).requires_grad_()
    state = tuple(torch.zeros(R, B, H, dtype=torch.float64) for _ in cell.states)
    kept = list[State]()
    for t in range(T):
        gx = torch.bmm(below[:, t], layer.W_ih) + layer.b[:, None]
        gh = [] if cell.owns_step else [torch.bmm(state[0], layer.W_hh) + _bias(layer.b_hh)]
        state = step(gx, *gh, *state)[0]
        kept.append(state)
    outputs = network.read_out(torch.stack([state[0] for state in kept], 1))
    losses = ((outputs - batch.y) ** 2).mean((1, 2, 3))
    law(
        torch.allclose(losses.detach(), passed.losses, rtol=TOLERANCE, atol=0),
        "the loss is that of a plain loop over time",
    )
    totals = torch.autograd.grad(losses.sum(), [part for state in kept for part in state], allow_unused=True)
    count = len(cell.states)
    for index, name in enumerate(cell.states):
        rows = [torch.zeros(R, B, H, dtype=torch.float64) if row is None else row for row in totals[index::count]]
        expected = torch.stack(rows, 1).norm(dim=-1)
        law(
            torch.allclose(_norms(passed.readings[1], name), expected, rtol=TOLERANCE, atol=1e-14),
            f"the total gradient of {name} at each timestep is that of a plain loop under autograd",
        )


def _states(cell: Cell, network: Network, x: Tensor) -> Tensor:
    """The hidden states [R, T, B, H] of the first layer."""
    first = replace(network.shape, layers=1)
    chosen = {name: value for name, value in network.parameters.items() if not name.startswith("layer1.")}
    lengths = torch.full((R, B), T)
    return general_forward(Network(cell, first, chosen), Sequences(x, x, lengths))


def _bias(b_hh: Tensor | None) -> Tensor | float:
    return 0.0 if b_hh is None else b_hh[:, None]


def _check_rule(general: Pass, fast: Pass) -> None:
    law(_close(fast.losses, general.losses), "the rule gives the loss that the definition gives")
    for name, gradient in general.gradients.items():
        same = _close(fast.gradients[name].plain(), gradient.plain())
        law(same, f"the rule gives the gradient of {name} that the definition gives")
    for layer, (ours, theirs) in enumerate(zip(fast.readings, general.readings, strict=True)):
        for state in theirs.squares:
            same = _close(_norms(ours, state), _norms(theirs, state))
            law(same, f"the rule gives the total gradient of {state} in layer {layer} that the definition gives")


def _close(value: Tensor, other: Tensor) -> bool:
    return torch.allclose(value, other, rtol=TOLERANCE, atol=TOLERANCE)


def _norms(readings: Readings, state: str) -> Tensor:
    """The row norms [R, T, B] of the total gradient of a state."""
    return torch.ldexp(readings.squares[state].sqrt(), readings.exponents)
