"""A summary says where rounding is at work, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from trainings import config

from rnnlab.report.rounding import rounding_notes
from rnnlab.training.loop import train


def notes(out: Path, dtype: str = "float32", nonlinearity: str = "tanh", **init: Any) -> str:
    model = {"cell": "rnn", "nonlinearity": nonlinearity, "hidden": 40, "init": init}
    task = {"name": "addition", "length": 100}
    run = train(config(task=task, model=model, dtype=dtype, train={"updates": 1, "evaluate_size": 10}), out=out)
    return " ".join(rounding_notes(run, run.verdict(0), 0))


# Gain 3 and inputs beside it, so that no state is a fixed point.
CHAOTIC = {"recurrent": {"name": "normal", "std": 3 / 40**0.5}}
SATURATED = {"recurrent": "identity", "bias": {"name": "constant", "value": 7.5}}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_chaotic_curve_depends_on_rounding_from_some_lag_on(dtype: str, tmp_path: Path) -> None:
    said = notes(tmp_path, dtype, **CHAOTIC)
    # At 11 decades per 100 timesteps float32's 7 digits are gone within the window, and float64's 16 are not.
    assert ("depends on rounding, since the network is chaotic" in said) == (dtype == "float32")
    assert "saturated" not in said


@pytest.mark.parametrize(("dtype", "says"), [("float32", True), ("float64", False)])
def test_saturated_units_are_known_badly_in_float32_alone(dtype: str, says: bool, tmp_path: Path) -> None:
    assert ("most activations are saturated" in notes(tmp_path, dtype, **SATURATED)) == says


@pytest.mark.parametrize("nonlinearity", ["linear", "relu"])
def test_a_recurrence_without_curvature_has_nothing_of_the_kind(nonlinearity: str, tmp_path: Path) -> None:
    growing = {"recurrent": {"name": "orthogonal", "gain": 1.4}, "input": "zeros"}
    assert notes(tmp_path, nonlinearity=nonlinearity, **growing) == ""
