"""CONTRIBUTING.md holds: its paths are there, and its examples of parts train, sweep and are listed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from commands import Call

import rnnlab
from rnnlab.catalog import KINDS, tables
from rnnlab.config import load_config
from rnnlab.errors import ConfigError

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
CONFIG: dict[str, Any] = {
    "task": {"name": "parity", "length": 6},
    "model": {"cell": "ugrnn", "hidden": 5, "init": {"recurrent": "near_identity"}},
    "clip": {"name": "smooth", "threshold": 0.5},
    "optimizer": "nadam",
    "train": {"updates": 9, "batch": 4, "evaluate_size": 8},
    "probe": {"which": ["adjoint", "non_normality"], "schedule": "doubling"},
}


@pytest.fixture(scope="module")
def parts() -> Iterator[dict[str, str]]:
    """The examples, run in their order as one module; by kind, the name that each brought. Removed at the end."""
    before = {kind: dict(table) for kind, table in tables().items()}
    # pydantic looks annotations up in the module of a class.
    module = ModuleType("contributing_examples")
    sys.modules[module.__name__] = module
    for block in BLOCKS:
        exec(compile(block, "CONTRIBUTING.md", "exec"), module.__dict__)
    added = {kind: [*(table.keys() - before[kind].keys())] for kind, table in tables().items()}
    yield {kind: name for kind, (name,) in added.items()}
    for kind, table in tables().items():
        for name in added[kind]:
            del table[name]
    del sys.modules[module.__name__]


def test_every_path_of_the_table_is_there() -> None:
    table = PAGE.split("| to change | open |")[1].split("\n\n")[0]
    paths = re.findall(r"`(rnnlab/[\w/.]+)`", table)
    assert len(paths) > 30
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_there_is_an_example_of_each_kind(parts: dict[str, str]) -> None:
    assert parts.keys() == set(KINDS)


def test_the_examples_train_together(parts: dict[str, str], tmp_path: Path) -> None:
    run = rnnlab.train(CONFIG, out=tmp_path)
    assert (run.status, run.info["scan"]) == ("completed", "general")
    measured = run.metrics.set_index("update")["non_normality"].dropna()
    assert [*measured.index] == [0, 1, 2, 4, 8]
    assert (measured >= 0).all()
    assert run.info["result"]["clip_rate"] == 1
    assert run.info["chance"]["error"] == 0.5


def test_the_example_engine_sweeps(parts: dict[str, str], tmp_path: Path) -> None:
    sweep = {"base": CONFIG, "axes": {"grid": {"clip.threshold": [0.5, 1], "task.length": [5, 6]}}}
    result = rnnlab.sweep(sweep, out=tmp_path, engine="cheapest_first")
    assert (result.completed, result.failures) == (4, ())
    assert "ugrnn-smooth0.5-T5-s0" in [run.name for run in rnnlab.load_runs(tmp_path)]


def test_the_examples_are_listed(parts: dict[str, str], rnn: Call) -> None:
    for kind, name in parts.items():
        assert f"  {name}: " in rnn("list", kind).out


def test_an_example_is_named_in_a_mistake(parts: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="did you mean 'ugrnn'"):
        load_config({"task": "parity", "model": {"cell": "ugrn"}})
