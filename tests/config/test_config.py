"""What a config means: every form of a value has one meaning, and what is left open is filled in."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import rnnlab
from rnnlab.cells import CELLS
from rnnlab.clips import ClipNorm
from rnnlab.config import Config, load_config
from rnnlab.errors import ConfigError
from rnnlab.inits.ring import Ring
from rnnlab.optimizers import Sgd
from rnnlab.probes import DEFAULT_PROBES, SCHEDULES
from rnnlab.tasks.addition import Addition


def test_a_mapping_may_hold_what_python_has() -> None:
    config = load_config(
        {
            "task": Addition(length=50),
            "clip": ClipNorm(threshold=2),
            "model": {"hidden": np.int64(7)},
            "optimizer": {"lr": np.float32(0.5)},
            "probe": {"schedule": [2, 1, 0], "which": ("adjoint",)},
        }
    )
    assert config.task == Addition(length=50)
    assert (config.model.hidden, config.optimizer.lr, config.clip) == (7, 0.5, ClipNorm(threshold=2))
    assert config.probe.schedule == SCHEDULES["at"](updates=(0, 1, 2))  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="a object cannot stand in a config"):
        load_config({"task": object()})


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("log", {"name": "log", "per_decade": 40}),
        ({"name": "log", "per_decade": 20}, {"name": "log", "per_decade": 20}),
        ({"per_decade": 20}, {"name": "log", "per_decade": 20}),
        (10, {"name": "every", "n": 10}),
        ("every", {"name": "every", "n": 1}),
        ([30, 10, 10, 0], {"name": "at", "updates": [0, 10, 30]}),
        ({"name": "at", "updates": [5]}, {"name": "at", "updates": [5]}),
    ],
)
def test_every_form_of_a_schedule_has_one_meaning(given: Any, meant: dict[str, Any]) -> None:
    assert load_config({"task": "copy", "probe": {"schedule": given}}).resolved()["probe"]["schedule"] == meant


@pytest.mark.parametrize(("given", "written", "stride"), [("all", "all", 1), (1, "all", 1), (5, 5, 5)])
def test_every_form_of_timesteps_has_one_meaning(given: Any, written: Any, stride: int) -> None:
    config = load_config({"task": "copy", "probe": {"timesteps": given}})
    assert (config.probe.timesteps, config.probe.stride) == (written, stride)


def test_probes_are_put_in_the_order_of_their_table() -> None:
    assert load_config({"task": "copy", "probe": {"which": ["weights", "adjoint", "adjoint"]}}).probe.which == [
        "adjoint",
        "weights",
    ]
    assert load_config({"task": "copy", "probe": {"which": "weights"}}).probe.which == ["weights"]
    assert load_config({"task": "copy"}).probe.which == [part.key() for part in DEFAULT_PROBES]


def test_what_a_cell_leaves_open_is_filled_in() -> None:
    rnn, lstm, gru = (load_config({"task": "copy", "model": {"cell": cell}}).model for cell in ("rnn", "lstm", "gru"))
    assert (rnn.nonlinearity, lstm.nonlinearity, gru.nonlinearity) == ("tanh", None, None)
    assert (rnn.recurrent_bias, lstm.recurrent_bias, gru.recurrent_bias) == (False, False, True)
    assert load_config({"task": "copy", "model": {"cell": "rnn", "nonlinearity": "relu"}}).model.build_cell() == CELLS[
        "rnn"
    ].model_validate({"nonlinearity": "relu"})
    assert lstm.build_cell() == CELLS["lstm"].model_validate({})


@pytest.mark.parametrize("init", ["torch", {"preset": "torch"}, {"preset": "torch", "recurrent_bias": "normal"}])
@pytest.mark.parametrize("cell", [name for name, cell in CELLS.items() if cell().recurrent])
def test_init_torch_brings_torchs_second_bias(cell: str, init: Any) -> None:
    for given in ({}, {"recurrent_bias": None}, {"recurrent_bias": True}):
        assert load_config({"task": "copy", "model": {"cell": cell, "init": init, **given}}).model.recurrent_bias


def test_init_torch_brings_no_second_bias_where_no_product_is() -> None:
    model = load_config({"task": "copy", "model": {"cell": "mingru", "init": "torch"}}).model
    assert (model.recurrent_bias, model.init.recurrent_bias.name, model.init.recurrent.name) == (False, *["zeros"] * 2)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"cell": "mingru", "recurrent_bias": True}, "mingru has no recurrent product to add it to"),
        ({"cell": "mingru", "init": {"recurrent": "orthogonal"}}, "mingru has no matrix for orthogonal to draw"),
        ({"cell": "lru", "init": {"recurrent": "identity"}}, "lru has no matrix for identity to draw; it has ring"),
        ({"cell": "lru", "gamma": 0.1}, "lru has no gamma; antisymmetric and cornn can choose"),
        ({"cell": "antisymmetric", "dt": 0.1}, "antisymmetric has no dt; cornn can choose"),
        ({"cell": "lru", "init": {"recurrent": {"r_min": 0.9, "r_max": 0.5}}}, "r_min 0.9 is above r_max 0.5"),
    ],
)
def test_what_a_cell_has_not_is_refused(model: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_config({"task": "copy", "model": model})


@pytest.mark.parametrize("init", ["torch", "keras", {}, {"preset": "torch"}])
def test_a_cell_with_its_own_initializer_has_it_whatever_the_preset(init: Any) -> None:
    assert load_config({"task": "copy", "model": {"cell": "lru", "init": init}}).model.init.recurrent.name == "ring"
    chosen = load_config({"task": "copy", "model": {"cell": "lru"}}, ["model.init.recurrent.r_min=0.9"])
    assert chosen.model.init.recurrent == Ring(r_min=0.9)
    assert load_config(chosen.resolved()) == chosen


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@pytest.mark.parametrize("init", ["torch", {"preset": "torch", "recurrent_bias": "zeros"}])
def test_init_torch_can_do_without_it(cell: str, init: Any) -> None:
    config = load_config({"task": "copy", "model": {"cell": cell, "init": init, "recurrent_bias": False}})
    assert (config.model.recurrent_bias, config.model.init.recurrent_bias.name) == (False, "zeros")
    assert load_config(config.resolved()) == config


def test_one_update_within_the_run_is_enough_of_a_schedule() -> None:
    for train in ({"updates": 5}, {"epochs": 1}):
        assert load_config({"task": "mnist", "train": train, "probe": {"schedule": [4, 99]}}).probe.schedule.due(4)


def test_a_run_lasts_a_thousand_updates_unless_told_otherwise() -> None:
    assert load_config({"task": "mnist"}).train.updates == 1000
    assert load_config({"task": "mnist", "train": {"epochs": 2}}).train.updates is None
    assert load_config({"task": "copy", "train": {"updates": 5}}).train.updates == 5


@pytest.mark.parametrize("given", [0, None])
def test_evaluations_only_at_the_end(given: int | None) -> None:
    assert load_config({"task": "copy", "train": {"evaluate_every": given}}).train.evaluate_every == 0


def test_the_public_face() -> None:
    assert rnnlab.load_config is load_config
    assert rnnlab.Config is Config
    assert set(rnnlab.__all__) <= set(dir(rnnlab))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        rnnlab.nonsense  # noqa: B018
    assert isinstance(load_config({"task": "copy", "optimizer": "sgd"}).optimizer, Sgd)
