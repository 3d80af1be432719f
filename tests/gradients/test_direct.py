"""The direct part from a cell's rule is the one from its definition under autograd, and at the end the total."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracles import FAST_CELLS, cell_name, make_batch, make_network
from scans import cells_and_their_scans, run

from rnnlab.cells import CELLS, Cell
from rnnlab.gradients.passes import Scratch, fast_pass, general_pass
from rnnlab.gradients.readings import curves
from rnnlab.logspace import log10_of_squares
from rnnlab.network.objective import Objective

# The clip clamps some of the entries that it meets, and not all.
BOUNDS = [None, 0.003]

fast_cells = pytest.mark.parametrize("cell", FAST_CELLS, ids=cell_name)
clipped_or_not = pytest.mark.parametrize("bound", BOUNDS)


@clipped_or_not
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("placement", ["last", "all", 1, -2])
@fast_cells
def test_the_rule_and_the_definition_give_one_direct_part(
    cell: Cell, placement: Any, layers: int, bound: float | None
) -> None:
    objective = Objective("class", placement, per_timestep=False)
    network = make_network(cell, R=2, layers=layers)
    batch = make_batch(objective, R=2, T=7, B=4, ragged=True)
    fast = fast_pass(network, batch, objective, Scratch(layers), bound=bound)
    general = general_pass(network, batch, objective, bound=bound)
    real = (fast.read_out.timesteps >= 0).numpy()
    readings = fast.direct_readings(network)
    assert len(readings) == layers
    for index, one in enumerate(readings):
        expected = general.direct_log10(network, index)
        assert list(one.squares) == [*cell.states, *(["a", "a_clipped"] if bound else [])]
        for state, squares in one.squares.items():
            found = log10_of_squares(squares.numpy(), one.exponents.numpy())
            np.testing.assert_allclose(
                found[real], expected[state].numpy()[real], atol=1e-10, err_msg=f"{index} {state}"
            )


def test_the_clip_of_these_tests_clamps_some_and_not_all() -> None:
    objective = Objective("class", "last", per_timestep=False)
    network, batch = make_network(CELLS["lstm"](), layers=3), make_batch(objective, T=7, B=4)
    general = general_pass(network, batch, objective, bound=BOUNDS[1])
    assert general.clamped is not None
    assert 0 < general.clamped.item() < 0.5
    logs = general.direct_log10(network, 2)
    assert (logs["a"] > logs["a_clipped"] + 0.01).any()


@clipped_or_not
@pytest.mark.parametrize("ragged", [False, True], ids=["even", "ragged"])
@pytest.mark.parametrize("size", [1.0, 1e-200])
@cells_and_their_scans
def test_where_the_longest_sequence_ends_direct_is_total(
    cell: Cell, scan: str, size: float, ragged: bool, bound: float | None
) -> None:
    """Nothing comes back from later timesteps there, in any layer and state, whatever the size."""
    objective = Objective("class", "last", per_timestep=False)
    network = make_network(cell, R=2, layers=3)
    network.parameters["readout.W"] *= size
    batch = make_batch(objective, R=2, T=7, B=4, ragged=ragged)
    found = run(scan, network, batch, objective, bound)
    for rows in curves(network, found, batch.lengths):
        assert len(rows) == 3 * (len(cell.states) + 2 * bool(bound))
        for curve in rows:
            direct, total = (curve.columns[name][-1] for name in ("log10_direct", "log10_norm"))
            assert direct == pytest.approx(total, rel=1e-12, abs=1e-12)
