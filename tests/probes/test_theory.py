"""The probe `theory` gives the slopes of closed forms, beside what the network's own adjoint does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from oracles import F64, make_network
from views import view_on

from rnnlab.analysis.theory import mean_field_slope
from rnnlab.cells import CELLS, Cell, Gru, Lru, Lstm, MinGru, Rnn
from rnnlab.gradients.view import UpdateView
from rnnlab.network.network import Network
from rnnlab.probes import Theory
from rnnlab.probes.closed_forms import THEORIES
from rnnlab.probes.lyapunov import growth_back


def slopes(view: UpdateView, layer: int = 0) -> dict[str, float]:
    """Those of the first replica, by the name of the theory."""
    return {rows.part: rows.values["slope"][0] for rows in Theory().measure(view).tables[0] if rows.layer == layer}


def tanh_of(g: float, noise: float, bias: float = 0.0, N: int = 300) -> UpdateView:
    """A wide tanh RNN whose pre-activations get white noise of this variance, and a constant beside it."""
    network = make_network(Rnn(), hidden=N, inputs=N, recurrent_bias=False, init="torch")
    generator = torch.Generator().manual_seed(1)
    for name, scale in (("W_hh", g), ("W_ih", math.sqrt(noise))):
        W = network.parameters[f"layer0.{name}"]
        W.copy_(scale / math.sqrt(N) * torch.randn(W.shape, generator=generator, dtype=F64))
    network.parameters["layer0.b"][:] = bias
    return view_on(network, T=60, B=5)


@pytest.mark.parametrize(("g", "noise", "bias"), [(0.8, 0.1, 0.0), (1.5, 1.0, 0.0), (2.0, 0.3, 0.0)])
def test_mean_field_is_the_slope_of_a_wide_networks_adjoint(g: float, noise: float, bias: float) -> None:
    view = tanh_of(g, noise, bias)
    slope = slopes(view)["mean field"]
    # The variance is measured on this batch, so that theory of the true one is near and not equal.
    assert slope == pytest.approx(mean_field_slope(g**2, noise), rel=0.02, abs=0.002)
    measured = growth_back(view.replay()[0], 0).mean() / np.log(10)
    assert slope == pytest.approx(measured, rel=0.03, abs=0.006)


def test_a_bias_adds_to_the_variance_of_the_input() -> None:
    assert slopes(tanh_of(1.0, 0.5, bias=0.7))["mean field"] == pytest.approx(
        mean_field_slope(1.0, 0.5 + 0.7**2), rel=0.02
    )


def rnn(nonlinearity: str, W: torch.Tensor, hidden: int = 6) -> Network:
    network = make_network(Rnn(nonlinearity=nonlinearity), hidden=hidden, recurrent_bias=False)
    network.parameters["layer0.W_hh"][:] = W
    return network


@pytest.mark.parametrize("rho", [0.5, 1.0, 1.1])
def test_of_a_linear_orthogonal_recurrence_it_is_rho_to_the_lag(rho: float) -> None:
    Q = torch.linalg.qr(torch.randn(6, 6, dtype=F64, generator=torch.Generator().manual_seed(0)))[0]
    network = rnn("linear", rho * Q)
    found = slopes(view_on(network))
    assert found["rho^lag"] == pytest.approx(math.log10(rho), abs=1e-12)
    assert ("vanishing bound" in found) == (rho < 1)
    network.parameters["layer0.W_hh"][0, 0, 0] += 0.01
    assert "rho^lag" not in slopes(view_on(network))


@pytest.mark.parametrize(("nonlinearity", "sigma"), [("tanh", 0.9), ("relu", 0.7), ("linear", 0.8), ("sigmoid", 3.0)])
def test_the_gradient_falls_at_least_as_the_bound_says(nonlinearity: str, sigma: float) -> None:
    W = torch.randn(6, 6, dtype=F64, generator=torch.Generator().manual_seed(2))
    network = rnn(nonlinearity, sigma * W / torch.linalg.matrix_norm(W, 2))
    view = view_on(network, T=25, B=3)
    bound = slopes(view)["vanishing bound"]
    assert bound == pytest.approx(math.log10(sigma / (4 if nonlinearity == "sigmoid" else 1)), abs=1e-12)
    rows = view.unrolled.rows
    assert rows is not None
    adjoint = rows[0].outputs
    norms = torch.linalg.vector_norm(adjoint.mantissa[0] * 2.0 ** adjoint.exponent[0, ..., None], dim=(-1, -2))
    falls = (norms[:-1] / norms[1:]).log10()
    assert torch.all(falls <= bound + 1e-12)


def test_there_is_no_bound_where_a_gradient_may_grow() -> None:
    assert slopes(view_on(rnn("relu", 1.01 * torch.eye(6, dtype=F64)))) == {}
    assert slopes(view_on(rnn("relu", torch.eye(6, dtype=F64)))) == {}


def test_of_diagonal_cells_it_is_the_mean_logarithm() -> None:
    network = make_network(Lru(), hidden=6)
    moduli = (-network.parameters["layer0.nu_log"].exp()).exp()[0, 0]
    assert slopes(view_on(network))["mean log of the diagonal"] == pytest.approx(
        float(moduli.log10().mean()), abs=1e-12
    )
    view = view_on(make_network(MinGru(), hidden=4), T=9, B=3)
    p = {name: value[0] for name, value in view.network.parameters.items()}
    kept = torch.sigmoid(-(view.batch.x[0] @ p["layer0.W_ih"] + p["layer0.b"])[..., :4])
    assert slopes(view)["mean log of the diagonal"] == pytest.approx(float(kept.log10().mean()), abs=1e-12)


def test_what_lies_behind_a_sequences_end_does_not_count() -> None:
    view = view_on(make_network(MinGru(), hidden=4), T=9, B=3)
    before = slopes(view)
    view.lengths[:] = torch.tensor([4, 9, 2])
    cut = view_on(view.network, T=9, B=3)
    cut.lengths[:] = torch.tensor([4, 9, 2])
    for b, length in enumerate([4, 9, 2]):
        cut.batch.x[:, length:, b] = 1e3
    assert slopes(cut) == slopes(view)
    assert slopes(cut) != before


@pytest.mark.parametrize("cell", [Lstm(), Gru()], ids=lambda cell: cell.key())
def test_of_other_cells_nothing_is_said(cell: Cell) -> None:
    measured = Theory().measure(view_on(make_network(cell)))
    assert [list(rows) for rows in measured.tables] == [[]] * len(measured.tables)


@pytest.mark.parametrize("name", [name for name in CELLS if name not in ("lstm", "gru")])
def test_no_cell_has_more_rows_than_were_announced(name: str) -> None:
    network = make_network(CELLS[name](), hidden=4, layers=2)
    tables = Theory().measure(view_on(network)).tables
    assert all(len(rows) <= 2 * len(THEORIES) for rows in tables)
