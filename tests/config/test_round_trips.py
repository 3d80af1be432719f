"""A resolved config repeats itself through YAML, and its identity says what the run is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from random_configs import ANY_CONFIG
from texts import loaded

from rnnlab.cells import CELLS
from rnnlab.config import conflicts, load_config
from rnnlab.tasks import TASKS

PATHS: dict[str, dict[str, Any]] = {
    "series": {"path": "a b.csv", "column": "x: y"},
    "text": {"path": "é.txt"},
    "arrays": {"path": "#x.npz"},
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_resolved_config_repeats_itself_through_yaml(task: str, cell: str, tmp_path: Path) -> None:
    config = load_config({"task": {"name": task, **PATHS.get(task, {})}, "model": {"cell": cell, "init": "keras"}})
    again = loaded(config.to_yaml(), tmp_path)
    assert again == config
    assert again.to_yaml() == config.to_yaml()
    assert again.identity() == config.identity()


@settings(deadline=None)
@given(ANY_CONFIG)
def test_any_resolved_config_repeats_itself_through_yaml(
    tmp_path_factory: pytest.TempPathFactory, mapping: Any
) -> None:
    config = load_config(mapping)
    again = loaded(config.to_yaml(), tmp_path_factory.getbasetemp())
    assert again == config == load_config(config) == load_config(config.resolved())
    assert list(conflicts(config)) == []


def test_identity_is_what_a_run_is_and_not_where_or_how_it_is_called() -> None:
    base = load_config({"task": "copy"})
    same: list[dict[str, object]] = [
        {"device": "cpu"},
        {"name": "x"},
        {"notes": "why"},
        {"probe": {"schedule": "log"}},
        {"model": {"cell": "lstm"}},
    ]
    other: list[dict[str, object]] = [
        {"seed": 1},
        {"dtype": "float64"},
        {"clip": "norm"},
        {"task": "addition"},
        {"model": {"hidden": 101}},
    ]
    assert {load_config({"task": "copy", **one}).identity() for one in same} == {base.identity()}
    assert len({load_config({"task": "copy", **one}).identity() for one in other} | {base.identity()}) == len(other) + 1
    assert re.fullmatch("[0-9a-f]{64}", base.identity())


def test_defaults_spelt_out_change_no_identity() -> None:
    rnn = {"task": "copy", "model": {"cell": "rnn"}}
    spelt = {"task": "copy", "model": {"cell": "rnn", "nonlinearity": "tanh", "recurrent_bias": False}}
    assert load_config(rnn).identity() == load_config(spelt).identity()
