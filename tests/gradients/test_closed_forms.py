"""Closed forms of cells whose recurrence is diagonal or antisymmetric: rates to 1e-9, beyond the range of float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from oracles import F64, make_batch, make_network
from scans import run

from rnnlab.cells import Antisymmetric, Lru, MinGru
from rnnlab.gradients.passes import Sequences
from rnnlab.gradients.readings import curves
from rnnlab.inits.ring import Ring
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective

LAST = Objective("value", "last", per_timestep=False)
SCANS = pytest.mark.parametrize("scan", ["fast", "general"])
T = 800


def log10_norms(scan: str, network: Network, batch: Sequences) -> np.ndarray:
    """Of dL/dh_t, by t."""
    found = run(scan, network, batch, LAST)
    return np.asarray(curves(network, found, batch.lengths)[0][0].columns["log10_norm"])


def rate(logs: np.ndarray) -> float:
    """Decades a timestep by which the gradient changes on its way back, from the last timestep to the first."""
    return float(logs[0] - logs[-1]) / (len(logs) - 1)


@SCANS
@pytest.mark.parametrize("modulus", [0.2, 0.9, 0.9999])
def test_the_lrus_rate_is_the_logarithm_of_its_modulus(scan: str, modulus: float) -> None:
    """Whatever its angles: the norm of a complex gradient does not turn."""
    network = make_network(Lru(), hidden=6)
    network.parameters["layer0.nu_log"][:] = math.log(-math.log(modulus))
    assert rate(log10_norms(scan, network, make_batch(LAST, T=T, B=2))) == pytest.approx(math.log10(modulus), abs=1e-9)


@SCANS
def test_the_lrus_rate_is_that_of_each_unit_alone(scan: str) -> None:
    network = make_network(Lru(), hidden=6)
    moduli = (-network.parameters["layer0.nu_log"].exp()).exp()[0, 0]
    for unit, modulus in enumerate(moduli.tolist()):
        network.parameters["readout.W"][:] = 0.0
        network.parameters["readout.W"][:, [unit, 3 + unit]] = 1.0
        logs = log10_norms(scan, network, make_batch(LAST, T=T, B=1))
        assert rate(logs) == pytest.approx(math.log10(modulus), abs=1e-9)


@SCANS
@pytest.mark.parametrize("bias", [0.0, 5.0])
def test_the_mingrus_rate_is_the_mean_logarithm_of_what_it_keeps(scan: str, bias: float) -> None:
    """1 - u_t = sigmoid(-a_t), a number of x_t alone: by unit the mean over time of its log10."""
    network, batch = make_network(MinGru(), hidden=4), make_batch(LAST, T=T, B=1)
    network.parameters["layer0.b"][:, :4] += bias
    p = {name: value[0] for name, value in network.parameters.items()}
    kept = torch.sigmoid(-(batch.x[0, 1:, 0] @ p["layer0.W_ih"] + p["layer0.b"])[:, :4])
    for unit in range(4):
        network.parameters["readout.W"][:] = 0.0
        network.parameters["readout.W"][:, unit] = 1.0
        logs = log10_norms(scan, network, batch)
        assert rate(logs) == pytest.approx(float(kept[:, unit].log10().mean()), abs=1e-9)


@SCANS
def test_at_rest_the_antisymmetrics_gradient_grows_by_its_eigenvalues(scan: str) -> None:
    """W - W^T - gamma 1 = [[-gamma, w], [-w, -gamma]] turns and damps: |1 + epsilon (-gamma + i w)| a timestep."""
    cell, w = Antisymmetric(epsilon=0.1, gamma=0.3), 0.7
    network, batch = make_network(cell, hidden=2), make_batch(LAST, T=T, B=1)
    for name, value in network.parameters.items():
        if name.startswith("layer0"):
            value.zero_()
    network.parameters["layer0.W_hh"][0] = torch.tensor([[5.0, w], [0.0, -3.0]], dtype=F64)  # the diagonal is not read
    expected = math.log10(abs(1 + 0.1 * complex(-0.3, w)))
    assert rate(log10_norms(scan, network, batch)) == pytest.approx(expected, abs=1e-9)


def test_the_ring_is_even_over_its_area() -> None:
    """Orvieto et al. 2023, lemma 3.2: |lambda|^2 is uniform, and so is the angle."""
    from scipy import stats

    moduli, phases = Ring(r_min=0.4, r_max=0.9, max_phase=1.0).polar(20_000, np.random.default_rng(0))
    assert stats.kstest(moduli**2, "uniform", (0.16, 0.81 - 0.16)).pvalue > 1e-3
    assert stats.kstest(phases, "uniform", (0, 1)).pvalue > 1e-3


@pytest.mark.parametrize("size", [1, 4, 7])
def test_a_matrix_of_the_ring_has_its_eigenvalues(size: int) -> None:
    ring = Ring(r_min=0.5, r_max=0.8)
    W = ring.draw(size, size, ("h",), np.random.default_rng(3))
    moduli, _ = ring.polar(size - size // 2, np.random.default_rng(3))
    expected = np.sort(np.concatenate([moduli, moduli[: size // 2]]))
    np.testing.assert_allclose(np.sort(np.abs(np.linalg.eigvals(W))), expected, rtol=1e-12)
    np.testing.assert_allclose(W @ W.T, W.T @ W, atol=1e-12)  # normal


def test_the_lru_starts_with_the_variance_of_its_input() -> None:
    """gamma^2 = 1 - |lambda|^2: iid input of variance 1 gives each unit a variance of gamma^2 / (1 - |lambda|^2)."""
    network = make_network(Lru(), hidden=400, inputs=1)
    nu, gamma = (network.parameters[f"layer0.{name}"] for name in ("nu_log", "gamma_log"))
    modulus = (-nu.exp()).exp()
    torch.testing.assert_close(gamma.exp().square() / (1 - modulus**2), torch.ones_like(nu), rtol=1e-9, atol=0)
