"""`gates`, `sensitivity` and the matrices of `recurrent`, against plain loops, autograd and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from oracles import ALL_CELLS, F64, cell_name, make_network, step
from torch import Tensor
from views import parameters_of, states_of, view_of, view_on

from rnnlab.cells import CELLS, Cell, Lstm, Rnn
from rnnlab.gradients.view import UpdateView
from rnnlab.probes import Gates, RecurrentWeights, Sensitivity
from rnnlab.probes.saturation import SATURATED
from rnnlab.probes.sensitivity import DIRECTIONS

cells = pytest.mark.parametrize("cell", ALL_CELLS, ids=cell_name)


@cells
def test_gates_are_means_over_what_is_alive(cell: Cell) -> None:
    view = view_of(cell, gain=3.0)
    tables = Gates().measure(view).tables
    for r in range(2):
        for rows in tables[r]:
            k = cell.gates.index(rows.part)
            activations = view.unrolled.gates()[rows.layer][k][r]
            for t in rows.at:
                alive = activations[t, view.lengths[r] > t]
                assert rows.values["mean"][t] == pytest.approx(float(alive.mean()), rel=1e-12, abs=1e-14)
                share = SATURATED[cell.nonlinearities()[k]](alive).double().mean()
                assert rows.values["saturated"][t] == pytest.approx(float(share), abs=1e-13)
        assert {(rows.layer, rows.part) for rows in tables[r]} == {(k, gate) for k in range(2) for gate in cell.gates}


def test_forget_gates_of_a_constant_bias_have_its_time_scale() -> None:
    view = view_of(Lstm(), hidden=5)
    for layer in range(2):
        for name in ("W_ih", "W_hh", "b_hh"):
            view.network.parameters[f"layer{layer}.{name}"][..., 5:10] = 0
        view.network.parameters[f"layer{layer}.b"][:, 5:10] = torch.tensor([0.0, 1.0, 2.0, 3.0, 6.0], dtype=F64)
    times = -1 / np.log(1 / (1 + np.exp(-np.array([0.0, 1.0, 2.0, 3.0, 6.0]))))
    figures = Gates().measure(view).figures
    np.testing.assert_allclose(figures["forget_time_median"], times[2], rtol=1e-12)
    np.testing.assert_allclose(figures["forget_time_max"], times[4], rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in CELLS if CELLS[name]().forget_gate is None])
def test_without_a_forget_gate_there_is_no_time_scale(name: str) -> None:
    assert all(np.isnan(values).all() for values in Gates().measure(view_of(CELLS[name]())).figures.values())


def plain_sensitivity(view: UpdateView, layer: int, r: int, name: str) -> list[float]:
    """log10 of the mean over sequences of ||dh_t/dtheta||_F^2, by autograd through a plain loop."""
    p, H = parameters_of(view.network, layer, r), view.network.shape.hidden
    lengths, squares = view.lengths[r].tolist(), [list[float]() for _ in range(int(view.lengths[r].max()))]
    for b, length in enumerate(lengths):
        below = states_of(view, layer - 1, r, b)[1:] if layer else None
        x = [s[:H] for s in below] if below else list(view.batch.x[r, :length, b])

        def states(theta: Tensor, x: list[Tensor] = x) -> Tensor:
            state: tuple[Tensor, ...] = (torch.zeros(1, H, dtype=F64),) * len(view.network.cell.states)
            hs = []
            for x_t in x:
                state = step(view.network.cell, x_t[None], state, {**p, name: theta})
                hs.append(state[0][0])
            return torch.stack(hs)

        J = torch.func.jacrev(states)(p[name])
        for t in range(length):
            squares[t].append(float(J[t].square().sum()))
    return [float(np.log10(np.mean(each))) if np.mean(each) else -np.inf for each in squares]


@pytest.mark.parametrize("cell", [cell for cell in ALL_CELLS if not cell.parametrised], ids=cell_name)
def test_the_sensitivity_of_small_parameters_is_autograds(cell: Cell) -> None:
    """Of no more entries than directions: it is exact then."""
    view = view_of(cell, hidden=2, inputs=1, T=6)
    for r in range(2):
        for rows in Sensitivity().measure(view).tables[r]:
            if view.network.parameters[f"layer{rows.layer}.{rows.part}"][0].numel() <= DIRECTIONS:
                expected = plain_sensitivity(view, rows.layer, r, rows.part)
                np.testing.assert_allclose(rows.values["log10_sensitivity"], expected, rtol=0, atol=1e-10)


def test_the_sensitivity_of_large_parameters_is_without_bias() -> None:
    """16 directions: within a few times sqrt(2 / 16 / the rank), here over 12 units and 6 timesteps."""
    view = view_of(Rnn(), hidden=12, T=6, R=1, layers=1)
    rows = next(rows for rows in Sensitivity().measure(view).tables[0] if rows.part == "W_hh")
    expected = plain_sensitivity(view, 0, 0, "W_hh")
    np.testing.assert_allclose(rows.values["log10_sensitivity"][1:], expected[1:], rtol=0, atol=0.15)


def test_an_exploding_sensitivity_is_right_beyond_float64() -> None:
    """h_t = w h_{t-1} + x_t with x_0 = 1 alone: dh_t/dw = t w^(t-1)."""
    network = make_network(Rnn(nonlinearity="linear"), hidden=1, inputs=1, recurrent_bias=False)
    network.parameters["layer0.W_hh"][:], network.parameters["layer0.W_ih"][:] = 10.0, 1.0
    network.parameters["layer0.b"][:] = 0
    view = view_on(network, T=701, B=1)
    view.batch.x[:] = 0
    view.batch.x[:, 0] = 1e-300  # so that the states themselves stay within float64
    rows = next(rows for rows in Sensitivity().measure(view).tables[0] if rows.part == "W_hh")
    t = np.array(rows.at[1:500])
    expected = 2 * (np.log10(t) + t - 1 - 300)
    np.testing.assert_allclose(np.asarray(rows.values["log10_sensitivity"])[t], expected, rtol=0, atol=1e-9)
    assert rows.values["log10_sensitivity"][0] == -np.inf


@pytest.mark.parametrize("name", CELLS)
def test_the_recurrent_matrices_are_numpys(name: str) -> None:
    cell = CELLS[name]()
    view = view_of(cell, hidden=6)
    tables = RecurrentWeights().measure(view).tables
    for r in range(2):
        for rows in tables[r]:
            parameter = next(
                key
                for key, gates in cell.recurrent.items()
                if rows.part in gates and gates.index(rows.part) == rows.at[0]
            )
            W = view.network.layer(rows.layer).recurrent[parameter][r].detach().numpy()
            W = W[:, 6 * rows.at[0] : 6 * (rows.at[0] + 1)]
            sigmas, eigenvalues = np.linalg.svd(W, compute_uv=False), np.linalg.eigvals(W)
            values = {key: value[0] for key, value in rows.values.items()}
            assert values["sigma_max"] == pytest.approx(sigmas[0], rel=1e-12)
            assert values["sigma_min"] == pytest.approx(sigmas[-1], rel=1e-9)
            assert values["radius"] == pytest.approx(np.abs(eigenvalues).max(), rel=1e-12)
            assert values["orthogonality_error"] == pytest.approx(np.sqrt(np.sum((sigmas**2 - 1) ** 2)), abs=1e-10)
            departure = np.sqrt(max(0, np.sum(sigmas**2) - np.sum(np.abs(eigenvalues) ** 2)) / np.sum(sigmas**2))
            assert values["non_normality"] == pytest.approx(departure, abs=1e-7)


def test_a_broken_matrix_is_nan_and_the_other_gates_stay() -> None:
    view = view_of(Lstm(), hidden=4)
    view.network.parameters["layer0.W_hh"][0, 0, 5] = np.nan
    broken = {rows.part: rows.values for rows in RecurrentWeights().measure(view).tables[0] if rows.layer == 0}
    assert np.isnan(broken["f"]["sigma_max"]).all()
    assert np.isfinite(broken["i"]["sigma_max"]).all()
