"""`floss`: exponents against the probe `lyapunov` and closed forms, gradients against finite differences."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from oracles import ALL_CELLS, F64, cell_name, make_network
from views import view_of, view_on

from rnnlab.cells import Cell, Lru, Lstm, Rnn
from rnnlab.gradients.view import UpdateView
from rnnlab.network.network import Network
from rnnlab.penalties import Floss
from rnnlab.probes import Lyapunov
from rnnlab.training.penalised import gradient_with

# Of a network of relu units some are dead, and directions die with them.
SMOOTH = [cell for cell in ALL_CELLS if cell_name(cell) != "rnn-relu"]
smooth_cells = pytest.mark.parametrize("cell", SMOOTH, ids=cell_name)


def moved(view: UpdateView, name: str, by: torch.Tensor) -> UpdateView:
    parameters = {key: value + by if key == name else value for key, value in view.network.parameters.items()}
    return dataclasses.replace(view, network=Network(view.network.cell, view.network.shape, parameters))


@smooth_cells
def test_the_exponents_are_those_of_the_probe(cell: Cell) -> None:
    view = view_of(cell, T=12, B=1, ragged=False)
    tables = Lyapunov().measure(view).tables
    values = Floss(exponents=100, samples=1, strength=2).measure(view).values
    for r in range(2):
        squares = [np.mean(np.square(rows.values["exponent"])) for rows in tables[r]]
        assert values[r] == pytest.approx(2 * sum(squares), rel=1e-9)


def test_of_fewer_exponents_it_follows_the_leading_ones() -> None:
    view = view_of(Lstm(), T=12, B=1, ragged=False, layers=1)
    for r, (rows,) in enumerate(Lyapunov().measure(view).tables):
        for k in (1, 2):
            value = Floss(exponents=k, samples=1).measure(view).values[r]
            assert value == pytest.approx(np.mean(np.square(rows.values["exponent"][:k])), rel=1e-9)


@smooth_cells
def test_the_gradient_is_that_of_finite_differences(cell: Cell) -> None:
    """Through the Jacobians, the states at which they are taken, and the layer below, for ragged sequences."""
    view = view_of(cell, T=8, B=3)
    penalty = Floss(exponents=2, samples=3, strength=0.5)
    gradient, _ = gradient_with(penalty, view)
    rows, rng = view.network.layout.views(gradient.plain()), np.random.default_rng(0)
    for name, whole in rows.items():
        part = whole - view.result.gradients[name].plain()
        direction = torch.from_numpy(rng.normal(size=tuple(part.shape)))
        ends = [penalty.measure(moved(view, name, e * direction)).values for e in (1e-5, -1e-5)]
        slope = (part * direction).flatten(1).sum(1).numpy()
        np.testing.assert_allclose((ends[0] - ends[1]) / 2e-5, slope, rtol=2e-4, atol=1e-8)


def test_the_first_updates_can_follow_it_alone() -> None:
    """What flossing before training is: no gradient of the loss, and so none for the read-out."""
    view = view_of(Lstm(), T=8)
    both, alone = (gradient_with(Floss(exponents=2, alone=count, every=5), view)[0].plain() for count in (0, 1))
    bare = view.result.gradient(both.shape[1]).plain()
    torch.testing.assert_close(both - bare, alone, rtol=1e-9, atol=1e-14)
    rows = view.network.layout.views(alone)
    assert not rows["readout.W"].any()
    assert rows["layer0.W_hh"].any()
    acts = [update for update in range(8) if Floss(alone=2, every=5).due(update)]
    assert acts == [0, 1, 5]


def test_a_scaled_rotation_has_the_square_of_the_log_of_its_scale() -> None:
    network = make_network(Rnn(nonlinearity="linear"), R=2, hidden=5)
    rotation = torch.linalg.qr(torch.randn(5, 5, dtype=F64, generator=torch.Generator().manual_seed(1)))[0]
    network.parameters["layer0.W_hh"].copy_(0.8 * rotation)
    term = Floss(exponents=5).measure(view_on(network, T=9, B=2))
    np.testing.assert_allclose(term.values, np.log(0.8) ** 2, rtol=1e-10)
    # Along the rotation each exponent is the log of the scale.
    slope = (term.gradients[0]["W_hh"] * rotation).sum((1, 2)).numpy()
    np.testing.assert_allclose(slope, 2 * np.log(0.8) / 0.8, rtol=1e-9)


def test_descent_along_it_brings_the_exponents_to_zero() -> None:
    network = make_network(Lstm(), R=1, hidden=4)
    view = view_on(network, T=12, B=2, ragged=False)
    penalty = Floss(exponents=2)
    first = penalty.measure(view).values[0]
    for _ in range(60):
        view = dataclasses.replace(view)
        for name, part in penalty.measure(view).gradients[0].items():
            network.parameters[f"layer0.{name}"] -= 0.3 * part
    assert penalty.measure(dataclasses.replace(view)).values[0] < 0.05 * first


def test_dead_directions_have_no_value_and_add_nothing() -> None:
    network = make_network(Rnn(nonlinearity="relu"), R=2, hidden=5)
    network.parameters["layer0.b"][0] = -100.0
    network.parameters["layer0.b"][1] = 100.0
    term = Floss(exponents=2).measure(view_on(network, T=6, B=2))
    assert np.isnan(term.values[0])
    assert np.isfinite(term.values[1])
    assert not any(part[0].any() for part in term.gradients[0].values())
    assert term.gradients[0]["W_hh"][1].any()


def test_a_replica_has_what_it_has_alone() -> None:
    view = view_of(Lru(), T=6)
    together, batch = Floss(exponents=3).measure(view), view.batch
    for r in range(2):
        one = slice(r, r + 1)
        alone = Network(view.network.cell, view.network.shape, {n: W[one] for n, W in view.network.parameters.items()})
        part = dataclasses.replace(batch, x=batch.x[one], y=batch.y[one], lengths=batch.lengths[one])
        term = Floss(exponents=3).measure(dataclasses.replace(view, network=alone, batch=part))
        np.testing.assert_allclose(term.values[0], together.values[r], rtol=1e-12)
