"""With the adjoint clip the total gradient of the loss stands beside that of the clipped signal."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import make_batch, make_network
from scans import LAST, both_scans, run

from rnnlab.cells import CELLS
from rnnlab.config import load_config
from rnnlab.gradients.readings import curves
from rnnlab.gradients.view import UpdateView
from rnnlab.probes import Adjoint

BOUND = 1e-3


@both_scans
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_the_rows_without_the_clip_are_those_of_a_pass_without_it(cell: str, scan: str) -> None:
    network, batch = make_network(CELLS[cell](), R=2, layers=2), make_batch(LAST, R=2, T=9, ragged=True)
    clipped = run(scan, network, batch, LAST, bound=BOUND)
    before = [rows.clone() for reading in clipped.readings for rows in reading.squares.values()]
    found = UpdateView(0, network, clipped, batch, LAST).curves()
    plain = curves(network, run(scan, network, batch, LAST), batch.lengths)
    for mine, expected in zip(found, plain, strict=True):
        unclipped = {(curve.layer, curve.state): curve for curve in mine}
        for curve in expected:
            other = unclipped.pop((curve.layer, f"{curve.state}_unclipped"))
            for name, values in curve.columns.items():
                np.testing.assert_array_equal(other.columns[name], values)
        # Two timesteps back the clip has acted, and the signal is smaller.
        lower = unclipped[0, "h"].columns["log10_norm"]
        assert lower[0] < expected[0].columns["log10_norm"][0] - 0.1
    after = [rows for reading in clipped.readings for rows in reading.squares.values()]
    for one, copy in zip(after, before, strict=True):
        np.testing.assert_array_equal(one, copy)


@pytest.mark.parametrize(("clip", "states"), [("none", 2), ("adjoint", 6)])
def test_the_plan_counts_them(clip: str, states: int) -> None:
    given = {"task": {"name": "addition", "length": 20}, "model": {"cell": "lstm"}, "clip": clip}
    config = load_config(given)
    assert Adjoint().gradient_rows(config) == 20 * states
