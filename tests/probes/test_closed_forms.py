"""Probes against theory: mean field, Lyapunov spectra, the curse of memory, and the adjoint beside the exponents."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from oracles import F64, make_network
from views import view_on

from rnnlab.analysis.theory import (
    curse_of_memory,
    diagonal_rate,
    mean_field_chi,
    mean_field_slope,
    mean_field_variance,
    power_decay,
    vanishing_bound,
)
from rnnlab.cells import Rnn
from rnnlab.gradients.view import UpdateView
from rnnlab.probes import Lyapunov
from rnnlab.probes.lyapunov import growth_back
from rnnlab.probes.sensitivity import log10_sensitivity


def wide_tanh(g: float, noise: float, *, N: int, T: int, B: int = 2, seed: int = 0) -> UpdateView:
    """A tanh RNN of weights N(0, g^2 / N) whose pre-activations get white noise of this variance."""
    network = make_network(Rnn(), hidden=N, inputs=N, recurrent_bias=False, init="torch")
    generator = torch.Generator().manual_seed(seed)
    for name, scale in (("W_hh", g), ("W_ih", np.sqrt(noise))):
        W = network.parameters[f"layer0.{name}"]
        W.copy_(scale / np.sqrt(N) * torch.randn(W.shape, generator=generator, dtype=F64))
    network.parameters["layer0.b"].zero_()
    return view_on(network, T=T, B=B, seed=seed)


@pytest.mark.parametrize("noise", [0.1, 1.0])
@pytest.mark.parametrize("g", [0.8, 1.2, 1.6, 2.0, 2.5])
def test_a_wide_tanh_rnn_is_as_mean_field_says(g: float, noise: float) -> None:
    """q* within 2%; chi_1 within 2%, the slope of the adjoint within 2% or 0.005 decades a timestep."""
    view = wide_tanh(g, noise, N=512, T=80, B=6)
    (layer,) = view.replay()
    h, W, W_ih = layer.states[0, 20:-1], layer.map.layer.W_hh[0], layer.map.layer.W_ih[0]
    q = (h @ W + layer.x[0, 20:] @ W_ih).square().mean()
    assert float(q) == pytest.approx(mean_field_variance(g**2, noise), rel=0.02)
    slope = growth_back(layer, 0).mean() / np.log(10)
    assert slope == pytest.approx(mean_field_slope(g**2, noise), rel=0.02, abs=0.005)
    gains = (1 - layer.states[0, 21:].square()).square().mean()
    assert g**2 * float(gains) == pytest.approx(mean_field_chi(g**2, noise), rel=0.02)


def test_mean_field_knows_its_limits() -> None:
    """Without input a tanh RNN of g <= 1 dies out, q* = 0 and chi_1 = g^2; the edge of chaos is at g = 1."""
    assert mean_field_variance(0.81, 0.0) == pytest.approx(0, abs=1e-10)
    assert mean_field_chi(0.81, 0.0) == pytest.approx(0.81, rel=1e-9)
    assert mean_field_slope(0.9**2, 0.0) == pytest.approx(np.log10(0.9), abs=1e-9)
    assert mean_field_slope(1.5**2, 0.0) > 0 > mean_field_slope(1.5**2, 1.0)


def autonomous(N: int, T: int, seed: int) -> UpdateView:
    """h_t = tanh(J h_{t-1}) at g = 1.5, set off by one input."""
    view = wide_tanh(1.5, 1.0, N=N, T=T, B=1, seed=seed)
    view.batch.x[:, 1:] = 0
    return view


def test_the_exponent_of_a_chaotic_network_comes_nearer_to_theory_with_its_size() -> None:
    """lambda_1 = log(chi_1) / 2 = 0.065 of x' = J tanh(x) at g = 1.5 (Engelken, Wolf and Abbott 2023)."""
    assert np.log(mean_field_chi(1.5**2, 0.0)) / 2 == pytest.approx(0.065, abs=0.001)
    small = [Lyapunov().measure(autonomous(24, 250, seed)).figures["lyapunov_max"][0] for seed in range(6)]
    large = [growth_back(autonomous(512, 1000, seed).replay()[0], 0).mean() for seed in range(2)]
    assert np.abs(np.array(large) - 0.065).mean() < np.abs(np.array(small) - 0.065).mean()
    assert large[0] == pytest.approx(0.065, abs=0.01)


@pytest.mark.slow
def test_the_lyapunov_spectrum_of_1024_units_is_engelkens() -> None:
    figures = Lyapunov().measure(autonomous(1024, 300, seed=0)).figures
    assert figures["lyapunov_max"][0] == pytest.approx(0.065, abs=0.01)
    assert figures["lyapunov_mean"][0] == pytest.approx(-0.715, abs=0.01)


def test_sensitivity_shows_the_curse_of_memory() -> None:
    """h_t = 0.9 h_{t-1} + x_t of white x: E (dh/d 0.9)^2 = 263.9, from 20,000 sequences and 40 timesteps."""
    network = make_network(Rnn(nonlinearity="linear"), hidden=1, inputs=1, recurrent_bias=False)
    network.parameters["layer0.W_hh"][:], network.parameters["layer0.W_ih"][:] = 0.9, 1.0
    network.parameters["layer0.b"].zero_()
    (layer,) = view_on(network, T=130, B=20_000).replay()
    logs = log10_sensitivity(layer, 0, "W_hh", 130, layer.lengths[0])
    assert np.mean(10 ** logs[90:]) == pytest.approx(curse_of_memory(0.9), rel=0.02)


@pytest.mark.parametrize(("g", "noise"), [(1.0, 0.2), (2.0, 0.1)])
def test_the_adjoints_rate_and_the_largest_exponent_agree_within_their_errors(g: float, noise: float) -> None:
    figures = Lyapunov().measure(wide_tanh(g, noise, N=60, T=500)).figures
    error = np.hypot(figures["lyapunov_max_error"][0], figures["adjoint_rate_error"][0])
    assert abs(figures["lyapunov_max"][0] - figures["adjoint_rate"][0]) < 3 * error
    assert error < 0.02


def test_simple_forms() -> None:
    np.testing.assert_allclose(power_decay(0.1, [0, 1, 300]), [0, -1, -300], rtol=1e-15)
    assert diagonal_rate([0.1, 1.0, -10.0, 0.01]) == pytest.approx(-0.5, abs=1e-15)
    assert diagonal_rate([1.0, 0.0]) == -np.inf
    assert vanishing_bound(1.0) == 1.0
