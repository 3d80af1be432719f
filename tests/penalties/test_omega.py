"""`omega`: value and immediate gradient against a plain loop under autograd, one timestep of one sample at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from oracles import ALL_CELLS, F64, cell_name, step
from torch import Tensor
from views import ALL, LAST_VALUE, parameters_of, states_of, view_of

from rnnlab.cells import Cell, Rnn
from rnnlab.config import load_config
from rnnlab.errors import ConfigError
from rnnlab.gradients.view import UpdateView
from rnnlab.network.objective import Objective
from rnnlab.penalties import NoPenalty, Omega
from rnnlab.probes import RecurrentWeights
from rnnlab.training.penalised import gradient_with

HELD = ("W_ih", "b", "b_hh")
learning_cells = pytest.mark.parametrize("cell", [cell for cell in ALL_CELLS if cell.recurrent], ids=cell_name)


def slow_omega(view: UpdateView, r: int, layer: int) -> tuple[float, dict[str, Tensor]]:
    """Omega of one layer of a replica, and its gradient where only the recurrent parameters move."""
    cell, p = view.network.cell, parameters_of(view.network, layer, r)
    leaves = {name: W.detach().clone().requires_grad_() for name, W in p.items() if name not in HELD}
    given, total = {**p, **leaves}, torch.zeros((), dtype=F64)
    below = view.batch.x[r]
    d_of = view.unrolled.rows[layer].outputs.mantissa[r]  # type: ignore[index]
    for b in range(below.shape[1]):
        states, H = states_of(view, layer, r, b), view.network.shape.hidden
        x = below[:, b] if layer == 0 else [s[:H] for s in states_of(view, layer - 1, r, b)[1:]]
        for t in range(1, int(view.lengths[r, b])):
            d, s = d_of[t, b], states[t].detach().clone().requires_grad_()
            after = torch.cat(step(cell, x[t][None], s[None].chunk(len(cell.states), -1), given), -1)[0]
            (back,) = torch.autograd.grad(after, s, d, create_graph=True, materialize_grads=True, allow_unused=True)
            if d.norm() > 0:
                # At zero the norm has no slope.
                size = back.square().sum() ** 0.5 if back.any() else torch.zeros((), dtype=F64)
                total = total + (size / d.norm() - 1) ** 2 / below.shape[1]
    if not total.requires_grad:
        return float(total), {name: torch.zeros_like(W) for name, W in leaves.items()}
    gradients = torch.autograd.grad(total, [*leaves.values()], allow_unused=True, materialize_grads=True)
    return float(total.detach()), dict(zip(leaves, gradients, strict=True))


@pytest.mark.parametrize("objective", [LAST_VALUE, ALL], ids=["last", "all"])
@learning_cells
def test_value_and_gradient_are_those_of_a_plain_loop(cell: Cell, objective: Objective) -> None:
    view = view_of(cell, objective, T=5)
    gradient, columns = gradient_with(Omega(strength=0.3), view)
    expected = {name: part.plain() for name, part in view.result.gradients.items()}
    moved = 0.0
    for r in range(2):
        parts = [slow_omega(view, r, layer) for layer in range(2)]
        assert columns["penalty"][r] == pytest.approx(0.3 * sum(value for value, _ in parts), rel=1e-10)
        for layer, (_, of_layer) in enumerate(parts):
            for name, part in of_layer.items():
                moved += float(part.abs().max())
                expected[f"layer{layer}.{name}"][r] += 0.3 * part
    assert moved > 0
    rows = view.network.layout.views(gradient.plain())
    for name, part in expected.items():
        torch.testing.assert_close(rows[name], part, rtol=1e-9, atol=1e-13)


@learning_cells
def test_it_is_the_omega_that_the_probe_measures(cell: Cell) -> None:
    view = view_of(cell)
    measured = RecurrentWeights().measure(view).figures["omega"]
    np.testing.assert_allclose(Omega(strength=2).measure(view).values, 2 * measured, rtol=1e-12)


def test_an_isometry_has_none_and_a_scaled_one_has_its_closed_form() -> None:
    """A linear recurrence by rho times a rotation: T-1 timesteps of (rho - 1)^2, which grow with slope 2 (rho - 1)."""
    rotation = torch.linalg.qr(torch.randn(5, 5, dtype=F64, generator=torch.Generator().manual_seed(1)))[0]
    for rho in (1.0, 0.9, 1.2):
        view = view_of(Rnn(nonlinearity="linear"), T=6, ragged=False, layers=1)
        view.network.parameters["layer0.W_hh"].copy_(rho * rotation)
        term = Omega(strength=1).measure(view)
        np.testing.assert_allclose(term.values, 5 * (rho - 1) ** 2, rtol=1e-9, atol=1e-24)
        # d/d rho of Omega is the gradient in the direction of the rotation.
        slope = (term.gradients[0]["W_hh"] * rotation).sum((1, 2))
        np.testing.assert_allclose(slope, 10 * (rho - 1), rtol=1e-9, atol=1e-12)


def test_a_dead_network_has_no_slope_and_no_nan() -> None:
    view = view_of(Rnn(nonlinearity="relu"), T=6, layers=1)
    view.network.parameters["layer0.b"].fill_(-100)
    term = Omega(strength=1).measure(view)
    assert np.isfinite(term.values).all()
    assert not term.gradients[0]["W_hh"].any()


def test_none_leaves_the_gradient_to_the_bit() -> None:
    view = view_of(Rnn(nonlinearity="tanh"), T=6)
    plain, columns = gradient_with(NoPenalty(), view)
    assert columns == {}
    assert torch.equal(plain.plain(), view.result.gradient(view.network.flat.shape[1]).plain())  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": {"cell": "mingru"}}, "penalty: omega: mingru has no recurrent weights, whose gradient this is"),
        ({"penalty": "omge"}, "penalty: 'omge' is not known; did you mean 'omega'"),
        ({"penalty": {"name": "omega", "strength": 0}}, "strength: must be above 0, not 0; `penalty: none`"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config({"task": "addition", "penalty": "omega", **given})
