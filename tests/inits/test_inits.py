"""Laws of the initializers, each against its formula or torch.nn.init."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from draws import GRU, LSTM, RNN, made, of_torch, rng, same_distribution
from scipy import stats
from torch import nn

from rnnlab.errors import UsageError
from rnnlab.inits import BIASES, INITS, WEIGHTS, Array, Init, spectral_radius

FOR_WEIGHTS = [name for name, part in INITS.items() if set(part.places) & set(WEIGHTS)]
FOR_BIASES = [name for name, part in INITS.items() if set(part.places) & set(BIASES)]
WITH_RADIUS = [name for name, part in INITS.items() if "spectral_radius" in part.model_fields]


# Contract, over the table.


@pytest.mark.parametrize("gates", [RNN, LSTM, GRU])
@pytest.mark.parametrize("shape", [(7, 7), (3, 8), (8, 3), (1, 5), (5, 1), (20, 30)])
@pytest.mark.parametrize("name", FOR_WEIGHTS)
def test_a_weight_has_its_shape_and_is_finite(name: str, shape: tuple[int, int], gates: tuple[str, ...]) -> None:
    if name == "ring" and shape[0] != shape[1]:
        with pytest.raises(UsageError, match="'ring' needs square blocks"):
            made(name).draw(*shape, gates, rng())
        return
    weight = made(name).draw(*shape, gates, rng())
    assert weight.shape == (shape[0], len(gates) * shape[1])
    assert weight.dtype == np.float64
    assert np.isfinite(weight).all()


@pytest.mark.parametrize("gates", [LSTM, GRU])
@pytest.mark.parametrize("hidden", [1, 6])
@pytest.mark.parametrize("name", FOR_BIASES)
def test_a_bias_has_its_shape_and_is_finite(name: str, hidden: int, gates: tuple[str, ...]) -> None:
    bias = made(name).draw_bias(hidden, gates, rng())
    assert bias.shape == (len(gates) * hidden,)
    assert bias.dtype == np.float64
    assert np.isfinite(bias).all()


@pytest.mark.parametrize("name", INITS)
def test_a_draw_follows_from_its_generator_alone(name: str) -> None:
    def draws(generator: np.random.Generator) -> Array:
        init = made(name)
        weight = init.draw(6, 6, LSTM, generator) if name in FOR_WEIGHTS else np.zeros(0)
        return np.append(weight, init.draw_bias(6, LSTM, generator) if name in FOR_BIASES else np.zeros(0))

    before = np.random.get_state()
    assert np.array_equal(draws(rng(3)), draws(rng(3)))
    after = np.random.get_state()
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("gates", [RNN, LSTM, GRU])
@pytest.mark.parametrize("name", WITH_RADIUS)
def test_every_gate_is_scaled_to_the_radius_asked_for(name: str, gates: tuple[str, ...]) -> None:
    weight = made(name, spectral_radius=0.95).draw(40, 40, gates, rng(1))
    for block in np.split(weight, len(gates), axis=1):
        assert abs(spectral_radius(block) - 0.95) < 1e-10


@pytest.mark.parametrize("name", WITH_RADIUS)
def test_scaling_to_a_radius_changes_nothing_but_the_scale(name: str) -> None:
    plain, scaled = made(name).draw(9, 9, RNN, rng(1)), made(name, spectral_radius=2).draw(9, 9, RNN, rng(1))
    assert np.allclose(scaled, plain * (2 / spectral_radius(plain)), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", WITH_RADIUS)
def test_a_radius_needs_square_blocks(name: str) -> None:
    with pytest.raises(UsageError, match=rf"'{name}': spectral_radius needs square blocks, not \[3, 4\]"):
        made(name, spectral_radius=0.9).draw(3, 4, LSTM, rng())


@pytest.mark.parametrize(
    "init", [made("constant", value=0, spectral_radius=1), made("identity", scale=0, spectral_radius=1)]
)
def test_a_radius_of_zero_cannot_be_scaled(init: Init) -> None:
    with pytest.raises(UsageError, match=f"'{init.name}': the block of gate 'i' has spectral radius 0"):
        init.draw(4, 4, LSTM, rng())


@pytest.mark.parametrize("name", sorted(set(INITS) - set(FOR_WEIGHTS)))
def test_a_bias_init_draws_no_weight(name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}' draws no weights; it is for bias"):
        made(name).draw(4, 4, LSTM, rng())


@pytest.mark.parametrize("name", sorted(set(INITS) - set(FOR_BIASES)))
def test_a_weight_init_draws_no_bias(name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}' draws no biases; it is for {', '.join(INITS[name].places)}"):
        made(name).draw_bias(4, LSTM, rng())


@pytest.mark.parametrize("name", INITS)
def test_every_init_says_what_it_is(name: str) -> None:
    part = INITS[name]
    assert part.meaning() != Init.meaning()
    assert part.source
    assert set(part.places) <= {*WEIGHTS, *BIASES}
    assert all(field.description for key, field in part.model_fields.items() if key != "name")


# Xavier and He against torch.nn.init, on torch's [fan_out, fan_in] weight.


@pytest.mark.parametrize(
    ("name", "options", "theirs"),
    [
        ("xavier_uniform", {}, nn.init.xavier_uniform_),
        ("xavier_uniform", {"gain": 5 / 3}, lambda w: nn.init.xavier_uniform_(w, nn.init.calculate_gain("tanh"))),
        ("xavier_normal", {}, nn.init.xavier_normal_),
        ("xavier_normal", {"gain": 3}, lambda w: nn.init.xavier_normal_(w, 3)),
        ("he_uniform", {}, nn.init.kaiming_uniform_),
        ("he_uniform", {"mode": "fan_out"}, lambda w: nn.init.kaiming_uniform_(w, mode="fan_out")),
        ("he_normal", {}, nn.init.kaiming_normal_),
        ("he_normal", {"mode": "fan_out"}, lambda w: nn.init.kaiming_normal_(w, mode="fan_out")),
        ("he_normal", {"gain": 1}, lambda w: nn.init.kaiming_normal_(w, nonlinearity="linear")),
        ("normal", {"mean": 0.5, "std": 0.2}, lambda w: nn.init.normal_(w, 0.5, 0.2)),
        ("uniform", {"bound": 0.3}, lambda w: nn.init.uniform_(w, -0.3, 0.3)),
    ],
)
def test_the_distribution_is_that_of_torch(name: str, options: dict[str, Any], theirs: Callable[[Any], Any]) -> None:
    ours = made(name, **options).draw(100, 300, RNN, rng(2))
    other = of_torch(lambda: theirs(torch.empty(300, 100, dtype=torch.float64)).numpy())
    assert same_distribution(ours, other)
    assert ours.std() == pytest.approx(other.std(), rel=0.01)


@pytest.mark.parametrize(
    ("name", "options", "bound"),
    [
        ("xavier_uniform", {"gain": 2}, 2 * math.sqrt(6 / (100 + 200))),
        ("xavier_uniform", {"fans": "stacked"}, math.sqrt(6 / (100 + 800))),
        ("he_uniform", {}, math.sqrt(6 / 100)),
        ("he_uniform", {"fans": "stacked"}, math.sqrt(6 / 100)),
        ("he_uniform", {"mode": "fan_out"}, math.sqrt(6 / 200)),
        ("he_uniform", {"mode": "fan_out", "fans": "stacked"}, math.sqrt(6 / 800)),
        ("uniform", {}, 1 / math.sqrt(200)),
        ("uniform", {"bound": "fan_in"}, 1 / math.sqrt(100)),
        ("uniform", {"bound": 0.25}, 0.25),
    ],
)
def test_uniform_inits_fill_their_bounds(name: str, options: dict[str, Any], bound: float) -> None:
    weight = made(name, **options).draw(100, 200, LSTM, rng(3))
    assert 0.9999 * bound < np.abs(weight).max() <= bound
    assert abs(weight.mean()) < 4 * bound / math.sqrt(3 * weight.size)
    assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.01)


@pytest.mark.parametrize(
    ("name", "options", "std"),
    [
        ("xavier_normal", {"gain": 2}, 2 * math.sqrt(2 / (100 + 200))),
        ("xavier_normal", {"fans": "stacked"}, math.sqrt(2 / (100 + 800))),
        ("he_normal", {}, math.sqrt(2 / 100)),
        ("he_normal", {"mode": "fan_out"}, math.sqrt(2 / 200)),
        ("he_normal", {"mode": "fan_out", "fans": "stacked", "gain": 1}, math.sqrt(1 / 800)),
        ("normal", {}, 0.1),
    ],
)
def test_normal_inits_have_their_moments(name: str, options: dict[str, Any], std: float) -> None:
    weight = made(name, **options).draw(100, 200, LSTM, rng(4))
    assert abs(weight.mean()) < 4 * std / math.sqrt(weight.size)
    assert weight.std() == pytest.approx(std, rel=0.01)
    assert stats.kstest(weight.ravel() / std, "norm").pvalue > 0.01


# Orthogonal, identity, sparse.


@pytest.mark.parametrize("shape", [(30, 30), (30, 12), (12, 30)])
def test_orthogonal_over_a_gate_has_every_singular_value_equal_to_the_gain(shape: tuple[int, int]) -> None:
    weight = made("orthogonal", gain=1.5).draw(*shape, LSTM, rng(5))
    for block in np.split(weight, 4, axis=1):
        assert np.allclose(np.linalg.svd(block, compute_uv=False), 1.5, rtol=0, atol=1e-12)


def test_orthogonal_gates_differ() -> None:
    i, f, _, _ = np.split(made("orthogonal").draw(8, 8, LSTM, rng()), 4, axis=1)
    assert np.abs(i - f).max() > 0.1


def test_orthogonal_over_the_stack_is_one_matrix_whose_gates_contract() -> None:
    weight = made("orthogonal", over="stacked", gain=2).draw(30, 30, LSTM, rng(5))
    assert np.allclose(weight @ weight.T, 4 * np.eye(30), rtol=0, atol=1e-12)
    assert all(np.linalg.svd(block, compute_uv=False).min() < 1.9 for block in np.split(weight, 4, axis=1))


def test_orthogonal_is_uniform_over_the_group() -> None:
    traces = [np.trace(made("orthogonal").draw(3, 3, RNN, generator)) for generator in [rng(6)] for _ in range(4000)]
    # Without the signs of diag(R) the mean is far from 0. Over the orthogonal group it is 0 and the variance 1.
    assert abs(np.mean(traces)) < 4 / math.sqrt(4000)
    assert np.var(traces) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("shape", [(4, 4), (2, 4), (4, 2)])
def test_identity_is_exact_in_every_gate(shape: tuple[int, int]) -> None:
    weight = made("identity", scale=0.01).draw(*shape, GRU, rng())
    for block in np.split(weight, 3, axis=1):
        assert np.array_equal(block, 0.01 * nn.init.eye_(torch.empty(*shape, dtype=torch.float64)).numpy())


@pytest.mark.parametrize(("fan_in", "non_zeros", "expected"), [(50, 15, 15), (50, 1, 1), (3, 15, 3)])
def test_sparse_has_exactly_so_many_weights_into_each_unit(fan_in: int, non_zeros: int, expected: int) -> None:
    weight = made("sparse", non_zeros=non_zeros).draw(fan_in, 50, LSTM, rng(7))
    assert (np.count_nonzero(weight, axis=0) == expected).all()


def test_sparse_chooses_rows_alike_and_values_from_a_normal() -> None:
    weight = made("sparse", non_zeros=10, std=0.3).draw(40, 4000, RNN, rng(7))
    share = np.count_nonzero(weight, axis=1) / 4000
    assert np.abs(share - 0.25).max() < 4 * math.sqrt(0.25 * 0.75 / 4000)
    assert stats.kstest(weight[weight != 0] / 0.3, "norm").pvalue > 0.01


def test_pascanus_smart_tanh() -> None:
    weight = made("sparse", spectral_radius=0.95).draw(50, 50, RNN, rng(8))
    assert (np.count_nonzero(weight, axis=0) == 15).all()
    assert abs(spectral_radius(weight) - 0.95) < 1e-10


# Biases.


@pytest.mark.parametrize(("options", "bound"), [({}, 1 / 50), ({"bound": "fan_in"}, 1 / 20), ({"bound": 0.5}, 0.5)])
def test_a_uniform_bias_fills_its_bounds(options: dict[str, Any], bound: float) -> None:
    bias = made("uniform", **options).draw_bias(2500, LSTM, rng(9), fan_in=400)
    assert 0.999 * bound < np.abs(bias).max() <= bound


def test_a_uniform_bias_cannot_guess_its_fan_in() -> None:
    with pytest.raises(UsageError, match="bound fan_in of a bias needs the fan_in of its units"):
        made("uniform", bound="fan_in").draw_bias(5, LSTM, rng())


def test_zeros_and_constant_are_exact() -> None:
    assert not made("zeros").draw(3, 3, LSTM, rng()).any()
    assert not made("zeros").draw_bias(3, LSTM, rng()).any()
    assert (made("constant", value=-0.5).draw(3, 3, LSTM, rng()) == -0.5).all()
    assert (made("constant", value=-0.5).draw_bias(3, LSTM, rng()) == -0.5).all()


def test_forget_sets_the_forget_gate_and_nothing_else() -> None:
    assert made("forget", value=2).draw_bias(2, LSTM, rng()).tolist() == [0, 0, 2, 2, 0, 0, 0, 0]
    assert not made("forget").draw_bias(2, GRU, rng()).any()
    assert not made("forget").draw_bias(2, RNN, rng()).any()


def test_chrono_spreads_the_memory_of_an_lstm_evenly() -> None:
    i, f, g, o = np.split(made("chrono", t_max=100).draw_bias(5000, LSTM, rng(10)), 4)
    assert 0 <= f.min() <= f.max() <= math.log(99)
    assert stats.kstest(np.exp(f), stats.uniform(1, 98).cdf).pvalue > 0.01
    assert np.array_equal(i, -f)
    assert not g.any()
    assert not o.any()


def test_chrono_of_a_gru_is_on_the_gate_that_keeps_the_past() -> None:
    r, z, n = np.split(made("chrono", t_max=100).draw_bias(5000, GRU, rng(10)), 3)
    assert stats.kstest(np.exp(z), stats.uniform(1, 98).cdf).pvalue > 0.01
    assert not r.any()
    assert not n.any()


def test_torchs_z_keeps_the_past() -> None:
    cell, state = nn.GRUCell(2, 3), torch.tensor([[0.5, -0.25, 0.125]])
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.bias_ih[3:6] = 100
        assert torch.equal(cell(torch.ones(1, 2), state), state)


def test_chrono_needs_a_gate_that_keeps_the_past() -> None:
    assert made("chrono").conflict(LSTM) is None
    assert made("chrono").conflict(GRU) is None
    assert "needs a forget gate" in (made("chrono").conflict(RNN) or "")
    with pytest.raises(UsageError, match=r"'chrono': needs a forget gate \(lstm\) or an update gate \(gru\).* has h"):
        made("chrono").draw_bias(3, RNN, rng())
