"""The configs that come with rnnlab are right: the shipped ones, and the one that `rnnlab new` writes."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from shipped import CONFIGS, SWEEPS
from texts import loaded

from rnnlab.config import load_config, starter
from rnnlab.sweeps.file import load_sweep


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_shipped_config_is_right_and_says_what_it_is_for(path: Path) -> None:
    load_sweep(path) if path in SWEEPS else load_config(path)
    first, *rest = path.read_text().splitlines()
    head = "\n".join(itertools.takewhile(lambda line: line.startswith("#"), rest))
    kind, schema = ("sweep", "sweep.schema") if path in SWEEPS else ("train", "schema")
    assert first == f"# yaml-language-server: $schema={schema}.json"
    assert all(f"# {word}:" in head for word in ("Question", "Command", "Expect", "Time"))
    assert f"rnnlab {kind} --config configs/{path.name}" in head


def test_the_starter_is_right_and_holds_the_defaults(tmp_path: Path) -> None:
    assert loaded(starter(), tmp_path) == load_config({"task": "addition"})
    assert "--config my.yaml" in starter("my.yaml")


def test_the_starters_comments_are_right_as_well(tmp_path: Path) -> None:
    uncommented = re.sub(r"(?m)^( *)# (\w+: )", r"\1\2", starter()).replace("single: 42", "single: 4")
    lines = [line for line in uncommented.splitlines() if "nonlinearity" not in line]
    config = loaded("\n".join(lines), tmp_path)
    assert (config.model.forget_bias, config.train.stop, config.name) == (1.0, "error < 0.01", "my-run")
