"""What `config/facts.py` says of a key holds in identities, sweeps, fleets, reports and settings."""

from __future__ import annotations

import subprocess
import sys
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from fakes import fake_run

from rnnlab.compare.collection import Runs
from rnnlab.compare.group_keys import differing_keys
from rnnlab.config import Config, Setting, known_keys, load_config
from rnnlab.config.facts import EXCLUSIVE, FACTS, KeyFacts, excluded_by, without
from rnnlab.config.keys import axis_keys
from rnnlab.config.shape import shape_of
from rnnlab.errors import ConfigError
from rnnlab.sweeps.file import load_sweep, sweep_schema

BASE: dict[str, Any] = {"task": "mnist", "train": {"updates": 10}}
# Another value than in BASE for each key that has facts of its own, and for some that have none.
OTHER: dict[str, Any] = {
    "seed": 7,
    "device": "cpu",
    "name": "other",
    "notes": "other",
    "plugins": ["other.py"],
    "model.init": "keras",
    "model.forget_bias": 2.0,
    "clip": "norm",
    "penalty": "omega",
    "train.detach": 0.5,
    "optimizer": {"name": "adam", "lr": 0.5},
    "train.stop": "error < 0.5",
    "train.nonfinite": "skip",
    "train.epochs": 3,
    "train.updates": 7,
    "train.checkpoint_seconds": 5.0,
    "task": "copy",
    "task.length": 20,
    "model.hidden": 7,
    "train.batch": 7,
    "train.tf32": True,
    "probe.timesteps": 5,
    "dtype": "float64",
}


def other(key: str) -> Config:
    if key == "plugins":  # which no setting gives
        return load_config(BASE).model_copy(update={key: tuple(OTHER[key])})
    return load_config(BASE, [Setting(tuple(key.split(".")), OTHER[key], key)])


def test_every_key_with_facts_is_a_key() -> None:
    assert set(FACTS) <= set(known_keys())
    assert {key for pair in EXCLUSIVE for key in pair} <= set(known_keys())
    assert set(FACTS) <= set(OTHER)


def test_what_sets_nothing_is_neither_identity_nor_condition() -> None:
    for key, facts in FACTS.items():
        assert facts.condition <= facts.identity, key
        assert not (facts.label and facts.identity), key


@pytest.mark.parametrize("key", OTHER)
def test_the_facts_of_a_key_hold(key: str, tmp_path: Path) -> None:
    base, config, facts = load_config(BASE), other(key), FACTS.get(key, KeyFacts())
    assert (config.identity() != base.identity()) is facts.identity
    assert (shape_of(config) == shape_of(base)) is facts.replica
    assert (key in axis_keys()) is facts.identity
    assert (key in sweep_schema()["$defs"]["axis"]["enum"]) is facts.identity
    runs = [fake_run(tmp_path, f"run{k}", one.resolved()) for k, one in enumerate((base, config))]
    assert bool(differing_keys([run.settings for run in runs])) is facts.condition
    assert bool(Runs(runs).differing()) is not facts.label


@pytest.mark.parametrize("key", [key for key, facts in FACTS.items() if not facts.identity])
def test_what_makes_no_other_run_is_no_axis(key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: makes no different run, and so no axis"):
        load_sweep({"base": BASE, "axes": {"grid": {key: [OTHER[key]]}}})


@pytest.mark.parametrize("pair", [*EXCLUSIVE, *(pair[::-1] for pair in EXCLUSIVE)], ids=str)
def test_exclusive_keys_take_each_others_place(pair: tuple[str, str]) -> None:
    key, excluded = pair
    assert excluded_by(key) == excluded
    base = load_config({"task": "mnist"}, [f"{excluded}=2"]).resolved()
    config = load_config(base, [f"{key}=3"])
    values: list[object] = [reduce(getattr, one.split("."), config) for one in pair]
    assert values == [3, None]
    with pytest.raises(ConfigError, match=r"give \w+ or \w+, not both"):
        load_config(BASE, [f"{key}=3", f"{excluded}=2"])


def test_without_leaves_the_rest_and_what_it_was_given() -> None:
    given = {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    assert without(given, ["a.c.d", "e", "x", "e.f", "a.b.c"]) == {"a": {"b": 1, "c": {}}}
    assert given == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}


def test_facts_are_known_without_the_models() -> None:
    code = "import rnnlab.config.facts, rnnlab.compare.group_keys, sys; print({'pydantic', 'yaml'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
