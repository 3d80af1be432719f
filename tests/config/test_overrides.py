"""Settings laid over a config: typed by the key, in any order, with mistakes told where they were made."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from rnnlab.config import Config, Setting, load_config
from rnnlab.errors import ConfigError

BASE: dict[str, Any] = {"task": {"name": "addition", "length": 200}}


def laid(*sets: str, **base: Any) -> Config:
    return load_config({**BASE, **base}, sets)


def error_of(*sets: str, **base: Any) -> str:
    with pytest.raises(ConfigError, match=r".") as caught:
        laid(*sets, **base)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("model.hidden=50", "model.hidden", 50),
        ("train.updates=1e4", "train.updates", 10_000),
        ("optimizer.lr=1e-3", "optimizer.lr", 1e-3),
        (" seed = 3", "seed", 3),
        ("name=3", "name", "3"),
        ("name=null", "name", None),
        ("notes=a: b", "notes", "a: b"),
        ("notes=[x", "notes", "[x"),
        ("notes=a=b", "notes", "a=b"),
        ("train.stop=error < 0.01", "train.stop", "error < 0.01"),
        ("train.stop=null", "train.stop", None),
        ("optimizer.amsgrad=true", "optimizer.amsgrad", True),
        ("probe.which=[adjoint, weights]", "probe.which", ["adjoint", "weights"]),
        ("probe.which=adjoint", "probe.which", ["adjoint"]),
        ("probe.timesteps=5", "probe.timesteps", 5),
        ("model.cell=gru", "model.cell", "gru"),
        ("task.length=30", "task.length", 30),
        ("dtype='float64'", "dtype", "float64"),
    ],
)
def test_a_value_is_typed_by_its_key(text: str, path: str, value: Any) -> None:
    result: Any = laid(text).resolved()
    for key in path.split("."):
        result = result[key]
    assert result == value
    assert type(result) is type(value)


def test_a_column_is_a_number_or_a_name() -> None:
    series = {"name": "series", "path": "x.csv", "column": 0}
    assert laid("task.column=3", task=series).resolved()["task"]["column"] == 3
    assert laid("task.column='3'", task=series).resolved()["task"]["column"] == "3"
    assert laid("task.path=2026", task=series).resolved()["task"]["path"] == "2026"


def test_bare_names_on_the_way_are_written_out() -> None:
    inits = laid("model.init.recurrent.gain=1.2", model={"init": {"recurrent": "orthogonal"}}).model.init
    assert inits.recurrent.model_dump()["gain"] == 1.2
    keras = laid("model.init.recurrent.gain=1.2", model={"init": "keras"}).model.init
    assert keras.recurrent.model_dump() == {
        "name": "orthogonal",
        "gain": 1.2,
        "over": "stacked",
        "spectral_radius": None,
    }
    assert keras.input.model_dump()["fans"] == "stacked"
    assert laid("task.loss.single=3", task={"name": "copy", "loss": "last"}).resolved()["task"]["loss"] == {"single": 3}


def test_shorter_forms_on_the_way_are_written_out() -> None:
    schedule = {"probe": {"schedule": 7}}
    assert laid("probe.schedule.n=9", **schedule).resolved()["probe"]["schedule"] == {"name": "every", "n": 9}
    assert laid("probe.schedule.name=log", **schedule).resolved()["probe"]["schedule"]["name"] == "log"


def test_a_part_that_is_not_there_is_the_default_one() -> None:
    assert laid("optimizer.lr=3").resolved()["optimizer"]["name"] == "adam"
    assert "is an option of norm, value, adjoint, not of none" in error_of("clip.threshold=3")


def test_a_new_name_keeps_the_options_that_fit() -> None:
    clip = {"name": "norm", "threshold": 3}
    assert laid("clip.name=value", clip=clip).resolved()["clip"] == {"name": "value", "threshold": 3.0}
    assert laid("clip.name=none", clip=clip).resolved()["clip"] == {"name": "none"}
    assert laid("task.name=copy").task.timesteps == 220
    assert laid("task.name=copy", task={"name": "addition", "jitter": 0.1}).resolved()["task"]["name"] == "copy"


def test_a_new_value_for_the_whole_part_keeps_nothing() -> None:
    assert laid("task=copy").task.timesteps == 120
    assert laid("clip=norm", clip={"name": "value", "threshold": 3}).resolved()["clip"]["threshold"] == 1.0


def test_a_misspelt_option_is_not_dropped_with_the_name() -> None:
    assert "clip.treshold: there is no such key" in error_of("clip.name=none", clip={"name": "norm", "treshold": 1})


def test_the_order_of_settings_does_not_matter() -> None:
    sets = ["clip.threshold=3", "clip.name=norm", "clip=value", "model.init.recurrent.gain=2", "model.init=keras"]
    configs = {laid(*order).to_yaml() for order in itertools.permutations(sets)}
    assert len(configs) == 1
    assert laid(*sets).resolved()["clip"] == {"name": "norm", "threshold": 3.0}


def test_of_two_for_one_key_the_last_wins() -> None:
    assert laid("seed=1", "seed=2").seed == 2


def test_updates_and_epochs_take_each_others_place() -> None:
    mnist = {"task": "mnist", "train": {"updates": 30}}
    assert (laid("train.epochs=2", **mnist).train.updates, laid("train.epochs=2", **mnist).train.epochs) == (None, 2)
    assert laid("train.updates=5", task="mnist", train={"epochs": 3}).train.epochs is None
    assert "give updates or epochs, not both" in error_of("train.updates=5", "train.epochs=1", task="mnist")


def test_a_resolved_config_takes_epochs_as_well() -> None:
    resolved = laid(task="mnist").resolved()
    assert load_config(resolved, ["train.epochs=2"]).train.updates is None


def test_what_was_given_is_left_alone() -> None:
    base = {"task": {"name": "copy"}, "train": {"updates": 3}, "model": {"init": {"recurrent": {"name": "normal"}}}}
    before = repr(base)
    load_config(base, ["train.updates=4", "model.init.recurrent.std=2", "task.name=addition"])
    assert repr(base) == before


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("model.hiden=3", "--set model.hiden=3: model.hiden: there is no such key; did you mean 'hidden'?"),
        ("hidden=3", "--set hidden=3: hidden: there is no such key here; did you mean 'model.hidden'?"),
        ("modl.hidden=3", "--set modl.hidden=3: modl: there is no such key; did you mean 'model'?"),
        ("model.hidden=x", "--set model.hidden=x: model.hidden: must be a whole number, not 'x'"),
        ("model.hidden=", "--set model.hidden=: model.hidden: must be a whole number, not null"),
        ("model.hidden", "--set model.hidden: write it as key=value, such as model.hidden=50"),
        ("=3", "--set =3: write it as key=value"),
        ("", "--set : write it as key=value"),
        ("seed.x=3", "--set seed.x=3: seed: has no keys of its own"),
        ("model..hidden=3", "--set model..hidden=3: model.: there is no such key"),
        ("probe.which=[adjoint", "--set probe.which=[adjoint: probe.which: not YAML: "),
        ("task.loss={a: 1, a: 2}", "--set task.loss={a: 1, a: 2}: task.loss: given twice"),
        ("task=additon", "--set task=additon: task: 'additon' is not known; did you mean 'addition'?"),
        ("task.name=additon", "--set task.name=additon: task.name: 'additon' is not known; did you mean 'addition'?"),
        ("task.loss.single=999", "--set task.loss.single=999: task.loss.single: timestep 999 is not in every sequence"),
        ("model.forget_bias=1", "--set model.forget_bias=1: model.forget_bias: rnn has no forget gate; lstm has"),
        ("clip.name=[1]", "--set clip.name=[1]: clip.name: must be a name, not [1]"),
        ("name=a/b", "--set name=a/b: name: 'a/b' holds /"),
        (f"notes={'x' * 99}\nq=1", ""),
    ],
)
def test_a_mistake_is_told_where_it_was_made(text: str, answer: str) -> None:
    if not answer:
        assert laid(text).notes
        return
    assert error_of(text, model={"cell": "rnn"}).startswith(answer)


def test_options_that_stand_for_a_key_say_so() -> None:
    with pytest.raises(ConfigError, match=r"^--seed x: seed: must be a whole number, not 'x'$"):
        load_config(BASE, [Setting(("seed",), "x", "--seed x")])


def test_mistakes_of_the_file_keep_their_place(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("task: addition\nmodel:\n  hidden: 0\n  layers: 0\n")
    with pytest.raises(ConfigError, match=r"c\.yaml:4:11: model\.layers: must be above 0, not 0$"):
        load_config(file, ["model.hidden=3"])


@pytest.mark.parametrize(
    ("named", "missing"),
    [("task.name=text", "task.path"), ("model.init.bias.name=chrono", "model.init.bias.t_max")],
)
def test_what_a_part_needs_is_told_where_the_part_was_named(named: str, missing: str, tmp_path: Path) -> None:
    given = tmp_path / "c.yaml"
    given.write_text("task: {name: addition}\nmodel: {init: {bias: {name: zeros}}}\n")
    with pytest.raises(ConfigError, match=rf"^--set {named}: {missing}: is needed") as caught:
        load_config(given, ["name=x", named])
    assert str(given) not in str(caught.value)


def test_what_the_files_own_part_needs_is_told_there(tmp_path: Path) -> None:
    given = tmp_path / "c.yaml"
    given.write_text("task: {name: text}\n")
    with pytest.raises(ConfigError, match=r"c\.yaml:1:1: task\.path: is needed"):
        load_config(given, ["name=x", "clip.name=norm"])
