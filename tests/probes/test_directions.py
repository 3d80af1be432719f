"""`directions` against autograd over a plain loop, closed forms, and where float64 cannot hold a gradient."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from oracles import ALL_CELLS, F64, cell_name, loop, make_network
from scans import LAST
from torch import Tensor
from views import ALL, LAST_VALUE, view_of, view_on

from rnnlab.cells import Cell, Rnn
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


@cells
@objectives
def test_by_timestep_they_are_autograds(cell: Cell, objective: Objective) -> None:
    view = view_of(cell, objective, T=6, B=4)
    tables = Directions().measure(view).tables
    for r in range(2):
        adjoints = loop(view.network, view.batch, objective, r).adjoints
        by_state = {(rows.layer, rows.part): rows for rows in tables[r]}
        assert set(by_state) == set(adjoints)
        for key, d in adjoints.items():
            rows = by_state[key]
            assert list(rows.at) == list(range(int(view.lengths[r].max())))
            for t in rows.at:
                expected = plain_directions(d, t)
                assert {name: values[t] for name, values in rows.values.items()} == pytest.approx(
                    expected, abs=1e-9, nan_ok=True
                )


def rotation(rho: float, angle: float, T: int, B: int = 2) -> Any:
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
    (rows,) = Directions().measure(view).tables[0]
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
    (alike,) = Directions().measure(view).tables[0]
    assert alike.values["batch_share"][-1] == pytest.approx(1, abs=1e-15)
    assert alike.values["cosine_samples"][-1] == pytest.approx(1, abs=1e-15)
    # No gradient passes a recurrence of zeros, and so there is no direction.
    assert alike.values["log10_batch_norm"][0] == -np.inf
    assert np.isnan([alike.values[name][0] for name in ("batch_share", "cosine_samples", "cosine_timesteps")]).all()

    opposite = view_on(view.network, T=5, B=2)
    opposite.batch.y[:] = torch.tensor([[1.0, 1.0], [-1.0, -1.0]], dtype=F64)
    (rows,) = Directions().measure(opposite).tables[0]
    assert rows.values["batch_share"][-1] == 0
    assert rows.values["log10_batch_norm"][-1] == -np.inf
    assert rows.values["cosine_samples"][-1] == pytest.approx(-1, abs=1e-15)


def test_a_single_sample_has_no_pair() -> None:
    (rows,) = Directions().measure(rotation(0.9, 0.1, T=5, B=1)).tables[0]
    assert np.isnan(rows.values["cosine_samples"]).all()
    np.testing.assert_allclose(rows.values["batch_share"], 1, rtol=1e-12)


def test_a_broken_weight_is_nan_and_other_replicas_stay() -> None:
    view = view_of(Rnn())
    before = Directions().measure(view).tables
    broken = view_of(Rnn())
    broken.network.parameters["layer1.W_hh"][1, 0, 0] = np.nan
    after = Directions().measure(broken).tables
    assert np.isnan(after[1][1].values["batch_share"]).all()
    for name, values in before[0][1].values.items():
        np.testing.assert_array_equal(after[0][1].values[name], values)
