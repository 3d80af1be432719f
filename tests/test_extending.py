"""docs/EXTENDING.md holds: its files, written outside the package, train, sweep, are listed and pass their checks.

Each command is a process of its own, since what is loaded is known to the whole process.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rnnlab.catalog import KINDS
from rnnlab.runs.run import Run

PAGE = (Path(__file__).parent.parent / "docs" / "EXTENDING.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```(?:python|yaml)\n# (\w+\.\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
PARTS = {
    "cells": "ugrnn",
    "inits": "near_identity",
    "clips": "smooth",
    "penalties": "orthogonality",
    "tasks": "parity",
    "probes": "non_normality",
    "schedules": "doubling",
    "optimizers": "nadam",
    "engines": "cheapest_first",
}
PLUGINS = [word for name in FILES if name.startswith("my_") for word in ("--plugin", name)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("project")
    for name, text in FILES.items():
        (made / name).write_text(text)
    return made


def run(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_there_is_an_example_of_each_kind() -> None:
    assert PARTS.keys() == set(KINDS)
    assert len(PLUGINS) == 2 * len(KINDS)


def test_the_examples_train_together(folder: Path) -> None:
    run(folder, "rnnlab", "train", "-c", "experiment.yaml", "--name", "refused", code=2)
    run(folder, "rnnlab", "train", "-c", "experiment.yaml", "--allow-plugins", "--name", "all", "-q")
    trained = Run(folder / "runs/all")
    assert (trained.status, trained.info["scan"]) == ("completed", "general")
    measured = trained.metrics.set_index("update")["non_normality"].dropna()
    assert [*measured.index] == [0, 1, 2, 4, 8]
    assert (measured >= 0).all()
    assert trained.info["result"]["clip_rate"] == 1
    assert trained.info["chance"]["error"] == 0.5
    used = sorted(part for plugin in trained.info["plugins"] for part in plugin["parts"])
    assert used == sorted(f"{kind} {name}" for kind, name in PARTS.items() if kind != "engines")


@pytest.mark.long
@pytest.mark.parametrize("engine", ["local", "cheapest_first"])
def test_they_sweep(folder: Path, engine: str) -> None:
    axes = {"grid": {"clip.threshold": [0.5, 1], "task.length": [5, 6]}}
    (folder / "sweep.yaml").write_text(json.dumps({"base": "experiment.yaml", "axes": axes}))
    result = run(
        folder, "rnnlab", "sweep", "-c", "sweep.yaml", *PLUGINS, "--engine", engine, "--out", engine, "--json", "-q"
    )
    assert json.loads(result.stdout)["completed"] == 4
    assert (folder / engine / "ugrnn-smooth0.5-T5-s0").is_dir()


def test_they_are_listed_and_named_in_a_mistake(folder: Path) -> None:
    listed = json.loads(run(folder, "rnnlab", "list", "--json", *PLUGINS).stdout)
    assert {kind: parts[-1]["name"] for kind, parts in listed.items()} == PARTS
    train = ("train", "-c", "experiment.yaml", "--allow-plugins", "--set", "model.cell=ugrn", "--dry-run")
    assert "did you mean 'ugrnn'" in run(folder, "rnnlab", *train, code=2).stderr


def test_they_keep_the_laws(folder: Path) -> None:
    assert "1 passed" in run(folder, "pytest", "-q", "-p", "no:cacheprovider", "test_my_parts.py").stdout
