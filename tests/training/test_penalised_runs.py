"""Runs with a penalty: what is read stays the loss's, what is applied has the penalty, in fleets, after a resume."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fakes import fake_run
from trainings import config, fleet_config, updated_together_and_alone, weights, whole_and_resumed

from rnnlab.config import Config, load_config
from rnnlab.runs.columns import METRICS
from rnnlab.training.loop import train
from rnnlab.training.memory import forecast_memory

PENALTIES: list[dict[str, Any]] = [{"name": "omega", "strength": 0.1}, {"name": "floss", "exponents": 3, "every": 3}]
penalties = pytest.mark.parametrize("penalty", PENALTIES, ids=lambda penalty: penalty["name"])


def without_seconds(metrics: pd.DataFrame) -> pd.DataFrame:
    return metrics.drop(columns="seconds")


@penalties
def test_a_fleet_is_its_runs_alone(penalty: dict[str, Any]) -> None:
    updated_together_and_alone([fleet_config(penalty=penalty, seed=seed) for seed in range(3)], updates=4)


@penalties
def test_what_is_read_is_the_loss_and_what_is_applied_has_the_penalty(penalty: dict[str, Any], tmp_path: Path) -> None:
    probe = {"which": ["adjoint", "recurrent"], "schedule": [0, 3, 4]}
    bare = train(config(name="bare", probe=probe), out=tmp_path)
    run = train(config(name="with", penalty=penalty, probe=probe), out=tmp_path)
    first = [one.gradients[one.gradients["update"] == 0] for one in (bare, run)]
    pd.testing.assert_frame_equal(*first)
    assert [*run.metrics.columns][: len(METRICS) + 1] == [*(column.name for column in METRICS), "penalty"]
    assert "penalty" not in bare.metrics.columns
    norms = [one.metrics.set_index("update")["grad_norm"][0] for one in (bare, run)]
    assert norms[0] != norms[1]
    acts = run.metrics["update"] % penalty.get("every", 1) == 0
    assert (run.metrics["penalty"].notna() == acts).all()
    if penalty["name"] == "omega":
        measured = run.metrics[run.metrics["omega"].notna()]
        np.testing.assert_allclose(measured["penalty"], penalty["strength"] * measured["omega"], rtol=1e-12)
    assert weights(bare) != weights(run)


@penalties
def test_an_interrupted_run_goes_on_to_the_same_bytes(penalty: dict[str, Any], tmp_path: Path) -> None:
    one = config(name="one", penalty=penalty)
    whole, resumed = whole_and_resumed(one, tmp_path, 7)
    assert without_seconds(resumed.metrics).equals(without_seconds(whole.metrics))


def test_a_run_without_one_has_the_identity_that_it_had_before_there_were_any() -> None:
    """A hash of all but what makes no other run, as it was before `penalty` and `train.detach` were keys."""
    for given in ({}, {"penalty": "none", "train": {"detach": 0}}, {"train": {"detach": 0.0}}):
        one = load_config({"task": "copy", **given})
        settings = one.resolved()
        for key in ("device", "name", "plugins", "notes", "penalty"):
            del settings[key]
        for key in ("detach", "checkpoint_seconds"):
            del settings["train"][key]
        assert one.identity() == hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


@penalties
def test_the_forecast_of_memory_counts_it(penalty: dict[str, Any]) -> None:
    """At least a float64 copy of every gate and state for the penalty, which the run alone does not make."""
    bare, with_one = (forecast_memory([config(penalty=one)]) for one in ("none", penalty))
    rows = 5 * 12
    assert with_one.update - bare.update >= rows * 7 * 8 * (4 + 2)


def test_with_one_it_has_another_for_each_strength() -> None:
    given: list[Any] = ["none", "omega", {"name": "omega", "strength": 2}]
    configs = [load_config({"task": "copy", "penalty": one}) for one in given]
    configs.append(load_config({"task": "copy", "train": {"detach": 0.5}}))
    assert len({one.identity() for one in configs}) == 4


def test_a_run_of_a_version_without_the_keys_is_one_with_their_defaults(tmp_path: Path) -> None:
    now: Config = load_config({"task": "copy"})
    older = now.resolved()
    del older["penalty"], older["train"]["detach"]
    runs = [fake_run(tmp_path, name, settings) for name, settings in (("older", older), ("now", now.resolved()))]
    assert runs[0].settings == runs[1].settings
