"""Runs of a folder are chosen and joined, and what cannot be read is named."""

from __future__ import annotations

import copy
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes import fake_run

from rnnlab.compare.collection import Runs, load_runs
from rnnlab.errors import RunFolderError, UsageError
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run import Run


def test_runs_are_found_by_position_and_name(tmp_path: Path) -> None:
    for name in ("lstm-b", "lstm-a", "gru"):
        fake_run(tmp_path, name)
    runs = load_runs(tmp_path)
    assert [run.name for run in runs] == ["gru", "lstm-a", "lstm-b"]
    assert runs["lstm-a"] is runs[1]
    assert [run.name for run in runs[1:]] == ["lstm-a", "lstm-b"]
    with pytest.raises(UsageError, match="no run 'lstm_a'; did you mean 'lstm-a'"):
        runs["lstm_a"]


def test_frames_are_joined_with_the_settings_that_differ(tmp_path: Path) -> None:
    rnn = {"model": {"cell": "rnn", "hidden": 8}, "seed": 0, "name": "a", "clip": {"threshold": 1.0}, "betas": [1, 2]}
    lstm = {"model": {"cell": "lstm", "hidden": 8}, "seed": 1, "name": "b", "clip": {"name": "none"}, "betas": [1, 3]}
    fake_run(tmp_path, "a", rnn, timesteps=3)
    fake_run(tmp_path, "b", lstm, timesteps=5)
    runs = load_runs(tmp_path)
    joined = runs.gradients
    own = list(runs[0].gradients.columns)
    labels = ["model.cell", "seed", "clip.threshold", "betas", "clip.name"]
    assert list(joined.columns) == ["run", *labels, *own]
    assert sorted(runs.differing()) == sorted(labels)
    for run in runs:
        of_run = joined[joined["run"] == run.name]
        pd.testing.assert_frame_equal(of_run[own].reset_index(drop=True), run.gradients)
        assert set(of_run["model.cell"]) == {run.config["model"]["cell"]}
        assert set(of_run["seed"]) == {run.config["seed"]}
    assert joined.groupby("run")["clip.threshold"].first().isna().tolist() == [False, True]
    assert set(joined["betas"]) == {"[1, 2]", "[1, 3]"}
    assert len(runs.metrics) == 4


def test_the_settings_of_runs_that_agree_add_nothing(tmp_path: Path) -> None:
    fake_run(tmp_path, "a")
    fake_run(tmp_path, "b")
    assert list(load_runs(tmp_path).metrics.columns[:2]) == ["run", "update"]


def test_what_is_no_run_is_left_out_and_named(tmp_path: Path) -> None:
    fake_run(tmp_path, "good")
    (tmp_path / "foreign").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "README.md").touch()
    RunFolder.create(tmp_path, "torn").run.write_text("{")
    runs = load_runs(tmp_path)
    assert [run.name for run in runs] == ["good"]
    assert set(runs.left_out) == {"foreign", "torn"}
    assert "has no run.json" in runs.left_out["foreign"]
    assert "cannot be read" in runs.left_out["torn"]


@pytest.mark.parametrize("damage", ["gradients", "config"])
def test_a_run_with_a_broken_file_is_left_out_of_the_frame_and_named(damage: str, tmp_path: Path) -> None:
    for name in ("bad", "good"):
        fake_run(tmp_path, name)
    getattr(RunFolder(tmp_path / "bad"), damage).write_text("[broken\n")
    runs = load_runs(tmp_path)
    with pytest.warns(UserWarning, match=r"left out of the frame: bad: .*(gradients.csv|config.yaml)"):
        assert set(runs.gradients["run"]) == {"good"}
    readable = runs.readable()
    assert [run.name for run in readable] == ["good"]
    assert [*readable.left_out] == ["bad"]
    assert set(readable.gradients["run"]) == {"good"}


def test_no_runs_are_empty_frames_with_their_columns(tmp_path: Path) -> None:
    runs = load_runs(tmp_path)
    assert len(runs) == 0
    assert {"run", "lag", "log10_norm"} <= set(runs.gradients.columns)


def test_a_folder_that_is_a_run_is_loaded_as_that_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fake_run(tmp_path).path)
    assert [run.name for run in load_runs(".")] == ["one"]


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"missing is not a folder; .*--out"):
        load_runs(tmp_path / "missing")


def test_reading_runs_imports_no_torch_and_opening_them_no_pandas(tmp_path: Path) -> None:
    fake_run(tmp_path)
    code = (
        "import sys; from rnnlab.compare.collection import load_runs; runs = load_runs(sys.argv[1]);"
        "early = 'pandas' in sys.modules; runs.gradients; runs[0].verdict();"
        "sys.exit(early or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 0


def test_joined_numbers_stay_numbers(tmp_path: Path) -> None:
    for seed in range(3):
        fake_run(tmp_path, f"s{seed}", {"seed": seed}, decades=-0.1 * seed)
    joined = load_runs(tmp_path).gradients
    assert joined["seed"].dtype == np.int64
    assert joined.groupby("seed")["log10_norm"].min().tolist() == pytest.approx([0, -4.9, -9.8])


def test_runs_do_not_change_while_they_are_read(tmp_path: Path) -> None:
    for name in ("bad", "good"):
        fake_run(tmp_path, name)
    (tmp_path / "bad" / "metrics.csv").write_text("[broken\n")
    given = [Run(tmp_path / name) for name in ("bad", "good")]
    runs = Runs(given)
    before = copy.copy(runs)
    with pytest.warns(UserWarning, match="left out of the frame: bad:"):
        assert set(runs.metrics["run"]) == {"good"}
    assert set(runs.gradients["run"]) == {"bad", "good"}
    assert len(runs.where("seed=0")) == 2
    assert [*runs.readable().left_out] == ["bad"]
    given.clear()
    assert (runs, runs.left_out, len(runs)) == (before, {}, 2)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'runs'"):
        runs.runs = ()  # type: ignore[misc]
