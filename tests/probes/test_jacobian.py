"""The singular values of ds_T/ds_t against autograd through the whole sequence, and where float64 cannot hold them."""

from __future__ import annotations

import dataclasses

import mpmath
import numpy as np
import pytest
import torch
from oracles import ALL_CELLS, F64, cell_name, make_network
from views import map_of, states_of, view_of, view_on

from rnnlab.cells import Cell, Lstm, Rnn
from rnnlab.gradients.view import UpdateView
from rnnlab.probes import Jacobian
from rnnlab.probes.jacobian import SAMPLES, figures_of

cells = pytest.mark.parametrize("cell", ALL_CELLS, ids=cell_name)
ISOMETRY = [-np.inf, -np.inf, -np.inf, -np.inf, -12]
"""Below this an isometry's error is rounding."""
NAMES = [column.name for column in Jacobian.table]


def jacobians(view: UpdateView, layer: int, r: int, b: int) -> list[torch.Tensor]:
    """J_0, ..., J_{T-1} by torch.func, of the cell as the oracle writes it."""
    states = states_of(view, layer, r, b)
    return [torch.func.jacrev(map_of(view, layer, r, b, t))(states[t]) for t in range(len(states) - 1)]


@cells
def test_singular_values_are_those_of_autograd_through_the_sequence(cell: Cell) -> None:
    view = view_of(cell)
    tables = Jacobian().measure(view).tables
    for r in range(2):
        for layer in range(2):
            rows = tables[r][layer]
            assert (rows.layer, rows.part) == (layer, "")
            for k, lag in enumerate(rows.at):
                expected = []
                for b, length in enumerate(view.lengths[r, :SAMPLES].tolist()):
                    if lag < length:
                        product = torch.eye(view.replay(1)[0].map.size, dtype=F64)
                        for factor in jacobians(view, layer, r, b)[length - lag :]:
                            product = factor @ product
                        values = torch.linalg.svdvals(product)
                        # Where relus are off a plain decomposition gives rounding errors, not zeros.
                        values = values.where(values > 1e-14 * values[0], 0)
                        expected.append(figures_of(values.log10().numpy()))
                means = np.mean(expected, 0).clip(ISOMETRY)
                result = np.array([rows.values[name][k] for name in NAMES]).clip(ISOMETRY)
                np.testing.assert_allclose(result, means, rtol=0, atol=1e-6)


@pytest.mark.parametrize("cell", [Rnn(), Lstm()], ids=cell_name)
def test_singular_values_are_right_at_1e_300(cell: Cell) -> None:
    view = view_of(cell, gain=0.01, T=120, B=1, R=1, layers=1, hidden=3, ragged=False)
    rows = Jacobian().measure(view).tables[0][0]
    with mpmath.workdps(1200):
        product = mpmath.eye(view.replay(1)[0].map.size)
        for J in jacobians(view, 0, 0, 0)[1:]:
            product = mpmath.matrix(J.tolist()) * product
        values = [float(mpmath.log10(value)) for value in mpmath.svd_r(product, compute_uv=False)]
    assert rows.at[-1] == 119
    assert values[-1] < -250
    ours = [rows.values[name][-1] for name in ("log10_sigma_max", "log10_sigma_min", "log10_condition")]
    # Beyond about 1e-16 a Jacobian's own smallest singular values hang on how its entries were rounded.
    np.testing.assert_allclose(ours, [values[0], values[-1], values[0] - values[-1]], rtol=1e-6)


def test_an_orthogonal_linear_recurrence_is_an_isometry_and_scaled_it_is_rho_to_the_lag() -> None:
    network = make_network(Rnn(nonlinearity="linear"), hidden=6)
    Q = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=F64))[0]
    for rho in (1.0, 0.5):
        network.parameters["layer0.W_hh"][0] = rho * Q
        (rows,) = Jacobian().measure(view_on(network, T=1201, B=1)).tables[0]
        lag = np.array(rows.at)
        assert lag[-1] == 1200
        for name in ("log10_sigma_max", "log10_sigma_median", "log10_sigma_min"):
            np.testing.assert_allclose(rows.values[name], lag * np.log10(rho), rtol=0, atol=1e-12 * 1200)
        error = np.asarray(rows.values["log10_isometry_error"])
        assert (error < -12).all() if rho == 1 else np.allclose(error, np.log10(1 - 0.25**lag), atol=1e-12)


def test_a_dead_relu_is_an_exact_zero() -> None:
    network = make_network(Rnn(nonlinearity="relu"), hidden=4)
    network.parameters["layer0.b"][0, 2] = -1e3
    (rows,) = Jacobian().measure(view_on(network, T=6, B=1)).tables[0]
    assert all(value == -np.inf for value in rows.values["log10_sigma_min"])
    assert all(value == np.inf for value in rows.values["log10_condition"])


def test_a_broken_weight_is_nan_and_other_replicas_stay() -> None:
    view = view_of(Lstm())
    before = Jacobian().measure(view).tables
    view.network.parameters["layer1.W_hh"][1, 0, 0] = np.nan
    after = Jacobian().measure(dataclasses.replace(view)).tables
    assert np.isnan(after[1][1].values["log10_sigma_max"]).all()
    for name in NAMES:
        np.testing.assert_array_equal(after[0][1].values[name], before[0][1].values[name])
        np.testing.assert_array_equal(after[1][0].values[name], before[1][0].values[name])


def test_one_timestep_has_no_lag_and_so_no_value() -> None:
    rows = Jacobian().measure(view_of(Rnn(), T=1, ragged=False)).tables[0][0]
    assert np.isnan(rows.values["log10_sigma_max"]).all()
