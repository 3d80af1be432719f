"""Lyapunov exponents against plain float64 loops and closed forms, and the adjoint's rate beside them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from oracles import ALL_CELLS, F64, cell_name, make_network
from views import map_of, states_of, view_of, view_on

from rnnlab.cells import Cell, Lstm, Rnn
from rnnlab.gradients.view import UpdateView
from rnnlab.probes import Lyapunov
from rnnlab.probes.lyapunov import SAMPLES, WARM_UP

cells = pytest.mark.parametrize("cell", ALL_CELLS, ids=cell_name)


def plain_growth(view: UpdateView, layer: int, r: int) -> np.ndarray:
    """log |(R_t)_ii| by NumPy, of the Jacobians that torch.func gives."""
    rows = []
    for b, length in enumerate(view.lengths[r, :SAMPLES].tolist()):
        states = states_of(view, layer, r, b)
        Q = np.eye(len(states[0]))
        for t in range(length):
            Q, R = np.linalg.qr(torch.func.jacrev(map_of(view, layer, r, b, t))(states[t]).numpy() @ Q)
            if t >= int(WARM_UP * length):
                with np.errstate(divide="ignore"):
                    rows.append(np.log(np.abs(np.diag(R))))
    return np.array(rows)


@cells
def test_exponents_are_those_of_a_plain_loop(cell: Cell) -> None:
    view = view_of(cell)
    measured = Lyapunov().measure(view)
    for r in range(2):
        means = [np.sort(plain_growth(view, layer, r).mean(0))[::-1] for layer in range(2)]
        for layer, rows in enumerate(measured.tables[r]):
            # Of a relu that is off the logarithms are those of rounding errors.
            result = np.where(np.asarray(rows.values["exponent"]) < -5, -np.inf, rows.values["exponent"])
            expected = np.where(means[layer] < -5, -np.inf, means[layer])
            np.testing.assert_allclose(result, expected, rtol=0, atol=1e-9)
        assert measured.figures["lyapunov_max"][r] == pytest.approx(max(mean[0] for mean in means), abs=1e-10)


@cells
def test_the_adjoints_rate_is_that_of_autograd_through_the_sequence(cell: Cell) -> None:
    view = view_of(cell, R=1, layers=1, T=9, B=1, ragged=False)
    (states,), N = [states_of(view, 0, 0, 0)], view.replay(1)[0].map.size
    leaf = states[0].requires_grad_()
    s, kept = leaf, [leaf]
    for t in range(9):
        s = map_of(view, 0, 0, 0, t)(s)
        kept.append(s)
    draw = np.random.default_rng(0).normal(size=N)
    gradients = torch.autograd.grad(s, kept, torch.from_numpy(draw))
    logs = [float(gradient.norm().log()) for gradient in gradients]
    first = int(WARM_UP * 9)
    last = 9 - first
    result = Lyapunov().measure(view).figures["adjoint_rate"][0]
    assert result == pytest.approx((logs[first] - logs[last]) / (last - first), abs=1e-10)


def test_a_scaled_orthogonal_recurrence_has_its_log_for_all_exponents() -> None:
    network = make_network(Rnn(nonlinearity="linear"), hidden=6)
    Q = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=F64))[0]
    network.parameters["layer0.W_hh"][0] = 0.9 * Q
    measured = Lyapunov().measure(view_on(network, T=40, B=2))
    np.testing.assert_allclose(measured.tables[0][0].values["exponent"], np.log(0.9), rtol=0, atol=1e-13)
    assert measured.figures["lyapunov_mean"][0] == pytest.approx(np.log(0.9), abs=1e-13)
    assert measured.figures["adjoint_rate"][0] == pytest.approx(np.log(0.9), abs=1e-13)
    assert measured.figures["lyapunov_max_error"][0] < 1e-13


def test_a_diagonal_recurrence_has_the_logs_of_its_diagonal() -> None:
    network = make_network(Rnn(nonlinearity="linear"), hidden=4)
    diagonal = torch.tensor([0.5, 1.2, 0.1, 0.9], dtype=F64)
    network.parameters["layer0.W_hh"][0] = torch.diag(diagonal)
    measured = Lyapunov().measure(view_on(network, T=40, B=2))
    expected = np.log([1.2, 0.9, 0.5, 0.1])
    np.testing.assert_allclose(measured.tables[0][0].values["exponent"], expected, rtol=0, atol=1e-13)
    assert measured.figures["lyapunov_dimension"][0] == pytest.approx(2 + expected[:2].sum() / -expected[2])


def test_a_stack_has_the_largest_exponent_of_its_layers() -> None:
    network = make_network(Rnn(nonlinearity="linear"), hidden=3, layers=2)
    for layer, size in ((0, 0.7), (1, 1.1)):
        network.parameters[f"layer{layer}.W_hh"][0] = size * torch.eye(3, dtype=F64)
    figures = Lyapunov().measure(view_on(network, T=20, B=1)).figures
    assert figures["lyapunov_max"][0] == pytest.approx(np.log(1.1))
    assert figures["adjoint_rate"][0] == pytest.approx(np.log(1.1))
    assert figures["lyapunov_dimension"][0] == pytest.approx(3 + 3 * np.log(1.1) / -np.log(0.7) - 0, rel=1e-9)


def test_a_broken_weight_is_nan_and_other_replicas_stay() -> None:
    view = view_of(Lstm())
    before = Lyapunov().measure(view).figures
    view.network.parameters["layer0.W_hh"][1, 0, 0] = np.inf
    after = Lyapunov().measure(dataclasses.replace(view)).figures
    for name, values in after.items():
        assert np.isnan(values[1])
        assert values[0] == before[name][0]
