"""The configs that come with rnnlab are right: the shipped ones, and the one that `rnnlab new` writes."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from shipped import CONFIGS, SWEEPS
from texts import loaded

from rnnlab.config import load_config, starter
from rnnlab.config.shipped import all_shipped
from rnnlab.config.shipped import shipped as shipped_config
from rnnlab.config.starter import sweep_starter
from rnnlab.errors import UsageError
from rnnlab.sweeps.file import Sweep, load_sweep


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_shipped_config_is_right_and_says_what_it_is_for(path: Path) -> None:
    load_sweep(path) if path in SWEEPS else load_config(path)
    first, *rest = path.read_text().splitlines()
    head = "\n".join(itertools.takewhile(lambda line: line.startswith("#"), rest))
    kind, schema = ("sweep", "sweep.schema") if path in SWEEPS else ("train", "schema")
    assert first == f"# yaml-language-server: $schema={schema}.json"
    assert all(f"# {word}:" in head for word in ("Question", "Command", "Expect", "Time"))
    assert f"rnnlab {kind} --config configs/{path.name}" in head


def test_the_starter_is_right_and_holds_defaults_but_for_what_its_task_needs(tmp_path: Path) -> None:
    changed = [
        "task.length",
        "model.hidden",
        "model.init.bias",
        "clip",
        "optimizer.lr",
        "train.batch",
        "train.updates",
        "train.stop",
    ]
    ours, usual = loaded(starter(), tmp_path).resolved(), load_config({"task": "addition"}).resolved()
    for key in changed:
        *above, last = key.split(".")
        one, other = ours, usual
        for name in above:
            one, other = one[name], other[name]
        assert one[last] != other[last], key
        one[last] = other[last]
    assert ours == usual
    assert "--config my.yaml" in starter("my.yaml")


def test_the_sweep_to_start_from_is_right_with_and_without_its_comments(tmp_path: Path) -> None:
    assert len(loaded_sweep(sweep_starter(), tmp_path).members) == 18
    uncommented = re.sub(r"(?m)^  # ", "  ", sweep_starter())
    assert uncommented != sweep_starter()
    assert len(loaded_sweep(uncommented, tmp_path).members) == 18 * 2 * 2 * 10
    assert "--config my/sweep.yaml" in sweep_starter("my/sweep.yaml")
    assert "sweep=mine" in sweep_starter("my/mine.yaml")


def loaded_sweep(text: str, folder: Path) -> Sweep:
    path = folder / "sweep.yaml"
    path.write_text(text)
    return load_sweep(path)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_copy_of_a_shipped_config_is_that_config_and_names_itself(path: Path, tmp_path: Path) -> None:
    one = shipped_config(path.stem)
    copy = tmp_path / "mine.yaml"
    copy.write_text(one.copy("mine.yaml"))
    if path in SWEEPS:
        assert [m.identity for m in load_sweep(copy).members] == [m.identity for m in load_sweep(path).members]
    else:
        assert load_config(copy) == load_config(path)
    assert one.is_sweep == (path in SWEEPS)
    assert "--config mine.yaml" in copy.read_text()
    assert f"configs/{path.name}" not in copy.read_text()
    assert "schema.json" not in copy.read_text()
    assert one.question.endswith("?")
    assert one.said("Time")


def test_a_config_that_does_not_ship_gets_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="no config 'demos' ships with rnnlab; did you mean 'demo'"):
        shipped_config("demos")
    assert shipped_config("configs/demo.yaml").name == "demo"
    assert {one.path.name for one in all_shipped()} == {path.name for path in CONFIGS}


def test_the_starters_comments_are_right_as_well(tmp_path: Path) -> None:
    uncommented = re.sub(r"(?m)^( *)# (\w+: )", r"\1\2", starter()).replace("single: 42", "single: 4")
    lines = [line for line in uncommented.splitlines() if "nonlinearity" not in line]
    config = loaded("\n".join(lines), tmp_path)
    assert (config.name, config.notes) == ("my-run", "why I tried this")
