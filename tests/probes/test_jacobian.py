"""The singular values of ds_T/ds_t against autograd through the whole sequence, and where float64 cannot hold them."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import mpmath
import numpy as np
import pytest
import torch
from oracles import ALL_CELLS, F64, cell_name, make_network
from torch import Tensor
from views import map_of, states_of, view_of, view_on

from rnnlab.cells import Cell, Lstm, Rnn, State
from rnnlab.gradients.view import UpdateView
from rnnlab.probes import Jacobian
from rnnlab.probes.jacobian import SAMPLES, figures_of

ISOMETRY = [-np.inf, -np.inf, -np.inf, -np.inf, -12]
"""Below this an isometry's error is rounding."""
ROUNDING = -14.0
"""log10 of a singular value beside the largest one, from which on it may be rounding."""
NAMES = [column.name for column in Jacobian.table]


def jacobians(view: UpdateView, layer: int, r: int, b: int) -> list[torch.Tensor]:
    """J_0, ..., J_{T-1} by torch.func, of the cell as the oracle writes it."""
    states = states_of(view, layer, r, b)
    return [torch.func.jacrev(map_of(view, layer, r, b, t))(states[t]) for t in range(len(states) - 1)]


class Pooled(Cell):
    """h_t = z_t * mean(h_{t-1}) + (1 - z_t) * tanh(x_t W + b): a gated cell whose Jacobian z_t 1^T / H has rank one."""

    gates: ClassVar[tuple[str, ...]] = ("z", "h")

    name: Literal["pooled"] = "pooled"

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        gate, candidate = gx.chunk(2, -1)
        z, n = gate.sigmoid(), candidate.tanh()
        return (z * state[0].mean(-1, keepdim=True) + (1 - z) * n,), (z, n)


def spectra(view: UpdateView, layer: int, r: int, lag: int) -> np.ndarray:
    """By sequence that is long enough, log10 of the singular values of ds_T/ds_t."""
    logs = []
    for b, length in enumerate(view.lengths[r, :SAMPLES].tolist()):
        if lag < length:
            product = torch.eye(view.replay(1)[0].map.size, dtype=F64)
            for factor in jacobians(view, layer, r, b)[length - lag :]:
                product = factor @ product
            logs.append(torch.linalg.svdvals(product).log10().numpy())
    return np.array(logs)


@pytest.mark.long
@pytest.mark.parametrize("cell", [*ALL_CELLS, Pooled()], ids=cell_name)
def test_singular_values_are_those_of_autograd_through_the_sequence(cell: Cell) -> None:
    """Of a singular Jacobian a plain decomposition, and ours where no row or column is zero, have rounding for zeros.

    They are told from others by the largest one: what is below 10^ROUNDING of it counts as that.
    """
    view = view_of(cell)
    tables = Jacobian().measure(view).tables
    for r in range(2):
        for layer in range(2):
            rows = tables[r][layer]
            assert (rows.layer, rows.part) == (layer, "")
            for k, lag in enumerate(rows.at):
                logs = spectra(view, layer, r, int(lag))
                kept = np.maximum(logs, logs[:, :1] + ROUNDING)
                expected = dict(zip(NAMES, np.mean([figures_of(each) for each in kept], 0).clip(ISOMETRY), strict=True))
                result = dict(
                    zip(NAMES, np.array([rows.values[name][k] for name in NAMES]).clip(ISOMETRY), strict=True)
                )
                middle = (logs.shape[1] - 1) // 2
                for name, smallest in (("log10_sigma_median", kept[:, middle]), ("log10_sigma_min", kept[:, -1])):
                    if (smallest <= logs[:, 0] + ROUNDING).any():
                        # Some of it is rounding, here or there.
                        assert result.pop(name) < expected.pop(name) + 1e-6
                if (kept[:, -1] <= logs[:, 0] + ROUNDING).any():
                    assert result.pop("log10_condition") > expected.pop("log10_condition") - 1e-6
                assert result == pytest.approx(expected, rel=0, abs=1e-6)


def test_a_jacobian_of_rank_one_is_singular_to_rounding() -> None:
    """Every column of z 1^T / H is the same; the zeros are 10^-15 of the largest singular value or less."""
    (rows, _) = Jacobian().measure(view_of(Pooled(), ragged=False)).tables[0]
    below = np.asarray(rows.values["log10_sigma_min"]) - np.asarray(rows.values["log10_sigma_max"])
    assert (below < -15).all()


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
