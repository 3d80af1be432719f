"""Where runs cannot be compared, the report has the commands that can: the newest sweeps, and a condition."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from commands import Call
from fakes import fake_group

from rnnlab.compare.collection import load_runs
from rnnlab.compare.suggestions import newest_sweep, suggestions


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Two sweeps, and runs that differ in six settings from each other."""
    root = tmp_path / "runs"
    for at, sweep in enumerate(("first", "second")):
        for cell in ("rnn", "lstm"):
            for run in fake_group(root, {0: -1.0, 1: -2.0}, model__cell=cell, optimizer__lr=0.1 * (1 + at)):
                run.dir.update(sweep=sweep, started=f"2026-01-0{1 + at}T00:00:00Z")
    # Each key is needed: it alone tells one of these runs from the rest.
    keys = ("model__hidden", "model__layers", "train__batch", "task__marks", "probe__timesteps", "train__log_every")
    for at in range(7):
        fake_group(root, {0: -1.0}, model__cell="gru", **{key: int(place == at) for place, key in enumerate(keys)})
    return root


def test_the_newest_sweep_comes_first_and_each_command_works(rnn: Call, mixed: Path) -> None:
    done = rnn("report", "runs/")
    assert done.code == 2
    assert "these runs differ in" in done.err
    lines = [line for line in done.err.splitlines() if line.startswith("  rnnlab report")]
    assert lines[0] == "  rnnlab report runs/ --sweep second   # 4 runs, the newest"
    assert lines[1] == "  rnnlab report runs/ --sweep first   # 4 runs"
    assert len(lines) == 3
    assert lines[2].startswith("  rnnlab report runs/ --where ")
    for line in lines:
        _, *words = shlex.split(line, comments=True)
        assert rnn(*words).code == 0


def test_the_condition_leaves_the_most_runs(mixed: Path) -> None:
    runs = load_runs(mixed)
    assert newest_sweep(runs) == "second"
    assert newest_sweep(runs.where("model.cell = gru")) is None
    (condition,) = suggestions(runs, lambda some: {run.settings["model.cell"] for run in some} == {"gru"})
    assert condition.options == "--where model.cell=gru"
    assert condition.about == "7 runs"
    assert suggestions(runs, lambda some: False) == []


def test_a_sweep_is_chosen_by_its_name(rnn: Call, mixed: Path) -> None:
    assert "4 runs in 2 groups by model.cell" in rnn("report", "--sweep", "first").out
    done = rnn("report", "--sweep", "frist")
    assert done.code == 2
    assert "did you mean 'first'?" in done.err
