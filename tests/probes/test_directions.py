"""`directions` against autograd over a plain loop, closed forms, and where float64 cannot hold a gradient."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from oracles import ALL_CELLS, F64, cell_name, loop, make_batch, make_network, step
from scans import LAST
from torch import Tensor
from views import ALL, LAST_VALUE, view_of, view_on

from rnnlab.cells import Cell, Lstm, Rnn
from rnnlab.gradients.autograd_pass import general_pass
from rnnlab.gradients.pass_base import Sequences
from rnnlab.gradients.view import UpdateView
from rnnlab.network.objective import Objective
from rnnlab.probes import Directions

cells = pytest.mark.parametrize("cell", ALL_CELLS, ids=cell_name)
objectives = pytest.mark.parametrize("objective", [LAST, LAST_VALUE, ALL], ids=["class", "last", "all"])


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


def mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else np.nan


def plain_directions(d: Tensor, t: int) -> dict[str, float]:
    """The quantities at one timestep, from the gradients [T, B, H] of all."""
    there = [row for row in d[t] if row.norm() > 0]
    sizes = sum(float(row.norm()) for row in there)
    whole = float(d[t].sum(0).norm())
    after = d[t + 1] if t + 1 < len(d) else torch.zeros_like(d[t])
    both = [(a, b) for a, b in zip(d[t], after, strict=True) if a.norm() > 0 and b.norm() > 0]
    return {
        "log10_batch_norm": np.log10(whole) if whole else -np.inf,
        "batch_share": whole / sizes if sizes else np.nan,
        "cosine_samples": mean([cosine(a, b) for a, b in itertools.permutations(there, 2)]),
        "cosine_timesteps": mean([cosine(a, b) for a, b in both]),
    }


@pytest.mark.long
@cells
@objectives
def test_by_timestep_they_are_autograds(cell: Cell, objective: Objective) -> None:
    view = view_of(cell, objective, T=6, B=4)
    tables = Directions().measure(view).tables
    for r in range(2):
        adjoints = loop(view.network, view.batch, objective, r).adjoints
        by_state = {(rows.layer, rows.part): rows for rows in tables[r]}
        assert set(adjoints) <= set(by_state)
        for key, d in adjoints.items():
            rows = by_state[key]
            assert list(rows.at) == list(range(int(view.lengths[r].max())))
            for t in rows.at:
                expected = plain_directions(d, t)
                assert {name: values[t] for name, values in rows.values.items()} == pytest.approx(
                    expected, abs=1e-9, nan_ok=True
                )


def rotation(rho: float, angle: float, T: int, B: int = 2) -> UpdateView:
    """h_t = rho Q h_{t-1}, Q turning each of two planes by an angle; without input, so that all states are zero."""
    network = make_network(Rnn(nonlinearity="linear"), hidden=4)
    turn = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=F64)
    network.parameters["layer0.W_hh"][0] = rho * torch.block_diag(turn, turn)
    for name in ("W_ih", "b", "b_hh"):
        network.parameters[f"layer0.{name}"].zero_()
    return view_on(network, T=T, B=B)


@pytest.mark.parametrize("rho", [0.5, 2.0])
def test_a_rotation_turns_the_gradient_by_its_angle_at_any_size(rho: float) -> None:
    """From 1e-361 to 1e+361, with a last timestep that has none behind it."""
    view = rotation(rho, 0.7, T=1201)
    rows, *_ = Directions().measure(view).tables[0]
    np.testing.assert_allclose(rows.values["cosine_timesteps"], [np.cos(0.7)] * 1200 + [np.nan], atol=1e-12)
    logs = np.asarray(rows.values["log10_batch_norm"])
    np.testing.assert_allclose(logs - logs[-1], np.arange(1200, -1, -1) * np.log10(rho), rtol=0, atol=1e-9)
    # Nor does a rotation change how the samples lie to each other.
    for name in ("batch_share", "cosine_samples"):
        np.testing.assert_allclose(rows.values[name], rows.values[name][-1], rtol=0, atol=1e-10)


def test_samples_that_are_alike_add_up_and_opposite_ones_cancel() -> None:
    view = rotation(0.0, 0.0, T=5)
    view.network.parameters["readout.b"].zero_()
    view.batch.y[:] = torch.ones(2, 2, dtype=F64)
    alike, *_ = Directions().measure(view).tables[0]
    assert alike.values["batch_share"][-1] == pytest.approx(1, abs=1e-15)
    assert alike.values["cosine_samples"][-1] == pytest.approx(1, abs=1e-15)
    # No gradient passes a recurrence of zeros, and so there is no direction.
    assert alike.values["log10_batch_norm"][0] == -np.inf
    assert np.isnan([alike.values[name][0] for name in ("batch_share", "cosine_samples", "cosine_timesteps")]).all()

    opposite = view_on(view.network, T=5, B=2)
    opposite.batch.y[:] = torch.tensor([[1.0, 1.0], [-1.0, -1.0]], dtype=F64)
    rows, *_ = Directions().measure(opposite).tables[0]
    assert rows.values["batch_share"][-1] == 0
    assert rows.values["log10_batch_norm"][-1] == -np.inf
    assert rows.values["cosine_samples"][-1] == pytest.approx(-1, abs=1e-15)


def test_a_single_sample_has_no_pair_and_no_spread() -> None:
    measured = Directions().measure(rotation(0.9, 0.1, T=5, B=1))
    assert all(np.isnan(values).all() for values in measured.figures.values())
    rows = measured.tables[0][0]
    assert np.isnan(rows.values["cosine_samples"]).all()
    np.testing.assert_allclose(rows.values["batch_share"], 1, rtol=1e-12)


def test_a_broken_weight_is_nan_and_other_replicas_stay() -> None:
    view = view_of(Rnn())
    before = Directions().measure(view)
    broken = view_of(Rnn())
    broken.network.parameters["layer1.W_hh"][1, 0, 0] = np.nan
    after = Directions().measure(broken)
    assert np.isnan(after.tables[1][1].values["batch_share"]).all()
    for name, figures in after.figures.items():
        assert np.isnan(figures[1])
        assert figures[0] == before.figures[name][0]
    for mine, other in zip(after.tables[0], before.tables[0], strict=True):
        for name, values in other.values.items():
            np.testing.assert_array_equal(mine.values[name], values)


def plain_sample_gradients(view: UpdateView, objective: Objective, r: int) -> dict[str, Tensor]:
    """By parameter [B, P]: B dL_b/dW, each from a plain loop over one sequence alone."""
    B, per_sample = view.lengths.shape[1], list[dict[str, Tensor]]()
    counts = view.lengths[r].double() if objective.placement == "all" else torch.ones(B, dtype=F64)
    for b in range(B):
        y = view.batch.y[:, :, b : b + 1] if objective.per_timestep else view.batch.y[:, b : b + 1]
        alone = Sequences(view.batch.x[:, :, b : b + 1], y, view.lengths[:, b : b + 1])
        weight = counts[b] / counts.mean()
        gradients = loop(view.network, alone, objective, r).gradients
        per_sample.append({name: weight * gradient.flatten() for name, gradient in gradients.items()})
    return {name: torch.stack([each[name] for each in per_sample]) for name in per_sample[0]}


def plain_noise(g: Tensor) -> tuple[float, float]:
    """tr(Sigma) and |G|^2 of gradients [B, P]."""
    variance = float(g.var(0, unbiased=True).sum())
    return variance, float(g.mean(0).square().sum()) - variance / len(g)


def scale_of(variance: float, square: float) -> float:
    return variance / square if square > 0 else np.nan


@pytest.mark.long
@cells
@objectives
def test_noise_and_halves_are_those_of_each_samples_autograd(cell: Cell, objective: Objective) -> None:
    view = view_of(cell, objective, T=6, B=5)
    measured = Directions().measure(view)
    for r in range(2):
        by_name = plain_sample_gradients(view, objective, r)
        whole = torch.cat([*by_name.values()], 1)
        variance, square = plain_noise(whole)
        figures = {name: values[r] for name, values in measured.figures.items()}
        expected = {
            "gradient_noise_scale": scale_of(variance, square),
            "gradient_log10_spread": np.log10(variance) / 2,
            "gradient_signal": square / float(whole.mean(0).square().sum()),
            "gradient_cosine": cosine(whole[:2].sum(0), whole[2:].sum(0)),
        }
        assert figures == pytest.approx(expected, rel=1e-8, abs=1e-9, nan_ok=True)
        of_parameters = [rows for rows in measured.tables[r] if "noise_scale" in rows.values]
        names = {rows.part if rows.part.startswith("readout") else f"layer{rows.layer}.{rows.part}": rows
                 for rows in of_parameters}  # fmt: skip
        assert set(names) == set(by_name)
        for name, g in by_name.items():
            values = {key: each[0] for key, each in names[name].values.items()}
            expected = {
                "log10_gradient": float(g.mean(0).norm().log10()),
                "noise_scale": scale_of(*plain_noise(g)),
                "cosine_halves": cosine(g[:2].sum(0), g[2:].sum(0)),
            }
            assert values == pytest.approx(expected, rel=1e-7, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("cell", [Lstm(), Rnn()], ids=cell_name)
def test_sample_gradients_are_those_of_torch_func(cell: Cell) -> None:
    view = view_of(cell, T=4, B=3, R=1, layers=1, ragged=False)
    weights = view.network.replica(0)

    def loss(p: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        layer = {name.removeprefix("layer0."): value for name, value in p.items()}
        state = (torch.zeros(1, 5, dtype=F64),) * len(cell.states)
        for x_t in x:
            state = step(cell, x_t[None], state, layer)
        return (state[0][0] @ p["readout.W"] + p["readout.b"] - y).square().mean()

    per_sample = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 1, 0))(weights, view.batch.x[0], view.batch.y[0])
    for name, gradient in view.sample_gradients(slice(None)).items():
        torch.testing.assert_close(gradient.plain()[0], per_sample[name], rtol=1e-9, atol=1e-14)


def test_the_noise_scale_of_known_gradients_is_the_closed_form() -> None:
    """Output 0 and targets N(mu, s^2 I): of readout.b G = -mu, tr(Sigma) = 2 s^2, and no other has a gradient."""
    mu, s, B = torch.tensor([0.6, -0.8], dtype=F64), 1.5, 20_000
    network = rotation(0.0, 0.0, T=1).network
    for name in ("readout.W", "readout.b"):
        network.parameters[name].zero_()
    view = view_on(network, T=1, B=B)
    view.batch.y[0] = mu + s * torch.randn(B, 2, dtype=F64, generator=torch.Generator().manual_seed(0))
    figures = Directions().measure(view).figures
    assert figures["gradient_noise_scale"][0] == pytest.approx(2 * s**2, rel=0.03)
    assert 10 ** (2 * figures["gradient_log10_spread"][0]) == pytest.approx(2 * s**2, rel=0.03)
    assert figures["gradient_signal"][0] == pytest.approx(1 / (1 + 2 * s**2 / B), rel=1e-4)


def test_both_parts_of_the_noise_scale_are_without_bias() -> None:
    """Over 400 batches of 4 samples their means are tr(Sigma) and |G|^2, which the norm of g alone overstates."""
    mu, s, R = torch.tensor([0.6, -0.8], dtype=F64), 1.5, 400
    network = make_network(Rnn(nonlinearity="linear"), R=R, hidden=2)
    for tensor in network.parameters.values():
        tensor.zero_()
    view = view_on(network, T=1, B=4)
    view.batch.y[:] = mu + s * torch.randn(R, 4, 2, dtype=F64, generator=torch.Generator().manual_seed(1))
    figures = Directions().measure(view).figures
    square = view.batch.y.mean(1).square().sum(-1).numpy()
    assert (10 ** (2 * figures["gradient_log10_spread"])).mean() == pytest.approx(2 * s**2, rel=0.1)
    assert (figures["gradient_signal"] * square).mean() == pytest.approx(1, rel=0.2)
    assert square.mean() > 1.8
    # Where all may be noise, nothing is said.
    silent = figures["gradient_signal"] <= 0
    assert silent.any()
    np.testing.assert_array_equal(np.isnan(figures["gradient_noise_scale"]), silent)


@pytest.mark.parametrize("rho", [0.5, 2.0])
def test_noise_is_right_where_float64_cannot_hold_a_gradient(rho: float) -> None:
    """With input at t = 0 alone dL/dW_ih is rho^lag times that of a single timestep, turned: at 1e-361 and 1e+361."""
    figures = {}
    for T in (1201, 1):
        view = rotation(rho, 0.3, T=T, B=6)
        view.batch.x[:, 1:] = 0
        view.batch.x[:, 0] = torch.tensor([1.0, -2.0, 3.0], dtype=F64)
        view.batch.y[:] = torch.randn(1, 6, 2, dtype=F64, generator=torch.Generator().manual_seed(3)) + 1
        tables = Directions().measure(view).tables[0]
        figures[T] = next({key: each[0] for key, each in rows.values.items()} for rows in tables if rows.part == "W_ih")
    far, near = figures[1201], figures[1]
    assert far["log10_gradient"] - near["log10_gradient"] == pytest.approx(1200 * np.log10(rho), abs=1e-9)
    assert far["noise_scale"] == pytest.approx(near["noise_scale"], rel=1e-9)
    assert far["cosine_halves"] == pytest.approx(near["cosine_halves"], abs=1e-12)


@pytest.mark.parametrize("objective", [LAST_VALUE, ALL], ids=["last", "all"])
def test_with_the_adjoint_clip_the_mean_over_samples_is_the_clipped_gradient(objective: Objective) -> None:
    """Which clamps what the batch-mean loss sends back, and so a sample alone by B times the bound."""
    network = make_network(Lstm(), R=2, layers=2)
    batch = make_batch(objective, R=2, T=6, B=4, ragged=True)
    result = general_pass(network, batch, objective, bound=torch.tensor([1e-3, 1e-2], dtype=F64))
    view = UpdateView(0, network, result, batch, objective)
    assert result.clamped is not None
    assert (result.clamped > 0.01).all()
    for name, gradient in view.sample_gradients(slice(None)).items():
        torch.testing.assert_close(gradient.plain().mean(1), result.gradients[name].plain(), rtol=1e-9, atol=1e-14)


def test_however_many_samples_are_held_at_once_the_figures_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    view = view_of(Lstm(), T=5, B=7)
    together = Directions().measure(view).figures
    monkeypatch.setattr("rnnlab.probes.directions.CHUNK", 1)
    for name, values in Directions().measure(view).figures.items():
        np.testing.assert_allclose(values, together[name], rtol=1e-9)
