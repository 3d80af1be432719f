"""Runs come back from disk as they were, and what cannot be read is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes import fake_run

from rnnlab.analysis import judge
from rnnlab.errors import RunFolderError, UsageError
from rnnlab.records import GradientLog
from rnnlab.rundir import RunDir
from rnnlab.runs import Run, load_runs
from rnnlab.tables import read_gradients, read_metrics


def test_a_run_is_what_its_files_say(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    assert (run.name, run.status, run.info["reason"]) == ("one", "completed", "all updates done")
    assert run.config["model"] == {"cell": "rnn"}
    assert run.settings == {"model.cell": "rnn", "seed": 0, "name": "one"}
    pd.testing.assert_frame_equal(run.gradients, read_gradients(run.dir.gradients))
    pd.testing.assert_frame_equal(run.metrics, read_metrics(run.dir.metrics))


def test_the_curve_is_the_top_layer_at_the_last_update_unless_asked_otherwise(tmp_path: Path) -> None:
    run = fake_run(tmp_path, updates=(0, 5), layers=3, states=("h", "c"))
    assert (run.updates(), run.states()) == ([0, 5], ["h", "c"])
    last = run.curve()
    assert set(last["update"]) == {5}
    assert set(last["layer"]) == {2}
    assert set(last["state"]) == {"h"}
    assert last["lag"].tolist() == list(range(50))
    first = run.curve(update=0, layer=1, state="c")
    assert (set(first["update"]), set(first["layer"]), set(first["state"])) == ({0}, {1}, {"c"})


def test_the_verdict_is_that_of_the_curve(tmp_path: Path) -> None:
    run = fake_run(tmp_path, layers=2)
    curve = run.curve(0)
    assert run.verdict(0) == judge(curve["lag"], curve["log10_norm"], curve["log10_direct"])
    line = run.verdict(0).fit
    assert line is not None
    assert line.rate == pytest.approx(-10)
    assert (run.verdict(0).readouts, run.verdict(0, layer=0).readouts) == (1, None)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"update": 3}, "recorded no gradient at update 3; it did at 0, 10"),
        ({"layer": 1}, "recorded no layer 1; it has 0"),
        ({"layer": -2}, "recorded no layer -2; it has 0"),
        ({"state": "c"}, "recorded no state 'c'; it has h"),
    ],
)
def test_what_was_not_recorded_is_refused_with_what_was(
    choice: dict[str, int | str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        fake_run(tmp_path).verdict(**choice)  # type: ignore[arg-type]


def test_a_run_without_gradients_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one recorded no gradients"):
        fake_run(tmp_path, updates=()).verdict()


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
    RunDir.create(tmp_path, "torn").run.write_text("{")
    runs = load_runs(tmp_path)
    assert [run.name for run in runs] == ["good"]
    assert set(runs.left_out) == {"foreign", "torn"}
    assert "has no run.json" in runs.left_out["foreign"]
    assert "cannot be read" in runs.left_out["torn"]


@pytest.mark.parametrize("damage", ["gradients", "config"])
def test_a_run_with_a_broken_file_is_left_out_of_the_frame_and_named(damage: str, tmp_path: Path) -> None:
    for name in ("bad", "good"):
        fake_run(tmp_path, name)
    getattr(RunDir(tmp_path / "bad"), damage).write_text("[broken\n")
    runs = load_runs(tmp_path)
    assert set(runs.gradients["run"]) == {"good"}
    assert "bad" in runs.left_out


def test_a_run_that_is_still_being_written_is_read_up_to_its_last_whole_row(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    with run.dir.gradients.open("a") as file:
        file.write("11,0,h,0,49,1.5")
    assert Run(run.path).gradients["update"].max() == 10


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
        "import sys; from rnnlab.runs import load_runs; runs = load_runs(sys.argv[1]);"
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


def test_the_last_finite_update_is_the_one_before_the_explosion(tmp_path: Path) -> None:
    run = fake_run(tmp_path, updates=(0, 1))
    t, inf = np.arange(50), np.full(50, np.inf)
    with GradientLog(run.dir.gradients) as log:
        log.write(2, 0, "h", t, 49 - t, inf, inf, inf, inf, inf, inf)
    opened = Run(run.path)
    assert opened.updates() == [0, 1, 2]
    assert opened.last_finite_update() == 1
