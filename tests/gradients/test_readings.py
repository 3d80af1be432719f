"""What is written down equals a slow, explicit loop under autograd in float64; taking it changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from adjoint_loop import adjoints, log10, percentiles
from oracles import make_batch, make_network
from scans import FAR, LAST, both_scans, cells_and_their_scans, run
from torch import Tensor

from rnnlab.cells import CELLS, Cell, Rnn
from rnnlab.gradients.passes import AutogradPass
from rnnlab.gradients.readings import Curve, curves
from rnnlab.gradients.view import UpdateView
from rnnlab.network.objective import Objective
from rnnlab.probes import PROBES, Measured


def check(curve: Curve, total: Tensor, direct: Tensor, lengths: list[int]) -> None:
    """A curve's columns against the adjoints [T, B, ...] of one layer, state and replica."""
    B = len(lengths)
    for row, t in enumerate(curve.t):
        alive = [b for b in range(B) if t < lengths[b]]
        columns = {name: values[row] for name, values in curve.columns.items()}
        assert columns.pop("norm") == pytest.approx(total[t].norm().item(), rel=1e-9, abs=1e-300)
        columns = {name: value for name, value in columns.items() if not name.startswith("own_")}
        samples = percentiles(B * total[t, alive].norm(dim=-1).numpy())
        expected = [log10(total[t].norm()), *samples, log10(direct[t].norm())]
        np.testing.assert_allclose(list(columns.values()), expected, atol=1e-9, err_msg=f"t = {t}")


@pytest.mark.parametrize("ragged", [False, True], ids=["even", "ragged"])
@pytest.mark.parametrize("placement", ["last", "all", 2])
@cells_and_their_scans
def test_curves_equal_the_loop(cell: Cell, placement: Any, ragged: bool, scan: str) -> None:
    objective = Objective("class", placement, per_timestep=False)
    network, batch = make_network(cell, R=2, layers=3), make_batch(objective, R=2, T=7, B=4, ragged=ragged)
    found = run(scan, network, batch, objective, bound=FAR)
    for r, rows in enumerate(curves(network, found, batch.lengths)):
        total, direct = (adjoints(network, batch, objective, r, recurrent) for recurrent in (True, False))
        states = (*cell.states, "a", "a_clipped")
        assert [(curve.layer, curve.state) for curve in rows] == [(layer, s) for layer in range(3) for s in states]
        for curve in rows:
            key = curve.layer, curve.state.removesuffix("_clipped")
            check(curve, total[key], direct[key], batch.lengths[r].tolist())


@cells_and_their_scans
def test_without_the_adjoint_clip_there_are_the_states_alone(cell: Cell, scan: str) -> None:
    network, batch = make_network(cell, layers=2), make_batch(LAST)
    (rows,) = curves(network, run(scan, network, batch, LAST), batch.lengths)
    assert [(curve.layer, curve.state) for curve in rows] == [(layer, s) for layer in range(2) for s in cell.states]
    (with_clip,) = curves(network, run(scan, network, batch, LAST, bound=FAR), batch.lengths)
    same = [curve for curve in with_clip if curve.state in cell.states]
    for curve, other in zip(rows, same, strict=True):
        for name, values in curve.columns.items():
            np.testing.assert_array_equal(values, other.columns[name])


@both_scans
def test_a_loss_at_the_end_has_a_direct_part_there_alone(scan: str) -> None:
    """What course notes call extreme vanishing is the direct gradient: zero everywhere but at lag 0."""
    network, batch = make_network(CELLS["lstm"](), layers=2), make_batch(LAST, T=9)
    for curve in curves(network, run(scan, network, batch, LAST), batch.lengths)[0]:
        assert np.isfinite(curve.columns["log10_norm"]).all()
        assert np.isneginf(curve.columns["log10_direct"][:-1]).all()
        at_the_end = curve.columns["log10_direct"][-1]
        assert at_the_end == pytest.approx(curve.columns["log10_norm"][-1], abs=1e-12)


# rows


@pytest.mark.parametrize("stride", [1, 2, 5, 100])
def test_rows_count_back_from_the_longest_sequence(stride: int) -> None:
    """Each replica has its own longest sequence; none has a row beyond it."""
    batch = make_batch(LAST, R=3, T=12, B=2)
    batch.lengths[:] = torch.tensor([[12, 3], [7, 5], [4, 4]])
    network = make_network(Rnn(), R=3)
    found = run("fast", network, batch, LAST)
    every = curves(network, found, batch.lengths)
    for rows, all_rows, longest in zip(curves(network, found, batch.lengths, stride), every, (12, 7, 4), strict=True):
        for curve, whole in zip(rows, all_rows, strict=True):
            assert curve.t.tolist() == sorted(range(longest - 1, -1, -stride))
            assert curve.lag.tolist() == [longest - 1 - t for t in curve.t]
            for name, values in curve.columns.items():
                np.testing.assert_array_equal(values, whole.columns[name][curve.t])


@both_scans
def test_measuring_changes_nothing(scan: str) -> None:
    network, batch = make_network(CELLS["gru"](), R=2, layers=2), make_batch(LAST, R=2, ragged=True)
    found = run(scan, network, batch, LAST)
    held = [*network.parameters.values(), batch.x, batch.y, batch.lengths, found.losses, found.outputs]
    held += [value for readings in found.readings for value in (*readings.squares.values(), readings.exponents)]
    held += [gradient.mantissa for gradient in found.gradients.values()]
    states_of_layers = found.states if isinstance(found, AutogradPass) else []
    held += [value for layer in (*found.gates(), *states_of_layers) for value in layer]
    before, states = [one.clone() for one in held], (torch.get_rng_state(), np.random.get_state()[1:3])
    curves(network, found, batch.lengths)
    view = UpdateView(0, network, found, batch, LAST)
    for part in PROBES.values():
        probe = part.model_validate({})
        probe.rows(view)
        measured = probe.measure(view)
        measured = measured.figures if isinstance(measured, Measured) else measured
        assert set(measured() if callable(measured) else measured) == {column.name for column in probe.columns}
    for one, copy in zip(held, before, strict=True):
        torch.testing.assert_close(one, copy, rtol=0, atol=0, equal_nan=True)
        assert one.grad is None
    assert torch.equal(states[0], torch.get_rng_state())
    assert all(np.array_equal(a, b) for a, b in zip(states[1], np.random.get_state()[1:3], strict=True))
