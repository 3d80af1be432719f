"""Both kinds of pass have one interface, do not change, and say for how long they are good."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from oracles import WITH_RULE, make_batch, make_network
from scans import both_scans, run

from rnnlab.cells import CELLS
from rnnlab.config import Config
from rnnlab.gradients.passes import Pass, Prediction, Scratch, Sequences, fast_pass
from rnnlab.gradients.readings import curves
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective
from rnnlab.training.fleet import Fleet

ALL = Objective("class", "all", per_timestep=False)


def case(name: str = "lstm", seed: int = 0) -> tuple[Network, Sequences]:
    return make_network(CELLS[name](), R=2, layers=2), make_batch(ALL, R=2, ragged=True, seed=seed)


@both_scans
def test_a_pass_does_not_change(scan: str) -> None:
    result = run(scan, *case(), ALL)
    assert isinstance(result, Prediction)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'losses'"):
        result.losses = torch.zeros(2)  # type: ignore[misc]


def test_what_is_abstract_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Pass(**dict.fromkeys(field.name for field in dataclasses.fields(Pass)))  # type: ignore[abstract]


@pytest.mark.parametrize("bound", [None, 1e-3])
@pytest.mark.parametrize("cell", WITH_RULE)
def test_both_kinds_have_the_same_tables_gates_and_parameters(cell: str, bound: float | None) -> None:
    network, batch = case(cell)
    fast, general = (run(scan, network, batch, ALL, bound) for scan in ("fast", "general"))
    tables = [list(result.norm_tables(network, batch.lengths)) for result in (fast, general)]
    for ours, theirs in zip(*tables, strict=True):
        assert ours[:2] == theirs[:2]
        assert list(ours[2]) == list(theirs[2])
        for values, others in zip(ours[2].values(), theirs[2].values(), strict=True):
            assert values.shape == others.shape == (2, batch.x.shape[1])
    assert [len(layer) for layer in fast.gates()] == [len(layer) for layer in general.gates()]
    assert list(fast.gradients) == list(general.gradients) == list(network.parameters)
    for pair in zip(fast.gates(), general.gates(), strict=True):
        for gate, other in zip(*pair, strict=True):
            alive = torch.arange(6)[None, :, None] < batch.lengths[:, None]
            torch.testing.assert_close(gate[alive], other[alive])


def test_losses_outputs_and_gradients_outlive_the_next_pass_with_the_same_scratch() -> None:
    """Readings, gates and tables do not: they read the memory of the scratch."""
    network, batch = case()
    scratch = Scratch(2)
    first = fast_pass(network, batch, ALL, scratch)
    kept = [first.losses, first.outputs, *(gradient.plain() for gradient in first.gradients.values())]
    before = [tensor.clone() for tensor in kept]
    gate = first.gates()[0][0].clone()
    fast_pass(network, case(seed=1)[1], ALL, scratch)
    assert all(torch.equal(one, other) for one, other in zip(kept, before, strict=True))
    assert not torch.equal(first.gates()[0][0], gate)


def test_a_pass_with_a_scratch_of_its_own_stays() -> None:
    network, batch = case()
    result = run("fast", network, batch, ALL)
    before = curves(network, result, batch.lengths)
    run("fast", network, case(seed=1)[1], ALL)
    for rows, others in zip(before, curves(network, result, batch.lengths), strict=True):
        for curve, other in zip(rows, others, strict=True):
            for name, values in curve.columns.items():
                np.testing.assert_array_equal(values, other.columns[name])


@both_scans
def test_a_prediction_is_the_forward_half_of_a_pass(scan: Any) -> None:
    config = Config.model_validate(
        {
            "task": {"name": "addition", "length": 10},
            "model": {"cell": "gru", "hidden": 4},
            "train": {"scan": scan, "batch": 5, "updates": 1},
        }
    )
    fleet = Fleet([config])
    batch = fleet.sequences([next(fleet.streams[0])])
    prediction, result = fleet.predict(batch), fleet.measure(batch)
    assert type(prediction) is Prediction
    for field in ("losses", "outputs", "targets"):
        torch.testing.assert_close(getattr(prediction, field), getattr(result, field), rtol=1e-6, atol=1e-7)
    assert torch.equal(prediction.read_out.timesteps, result.read_out.timesteps)
    assert fleet.errors(prediction) == fleet.errors(result)
