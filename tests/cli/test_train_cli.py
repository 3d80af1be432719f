"""`rnnlab train` hands on what it is given, and its result goes where it belongs."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from commands import Call, Result, written
from fake_training import FakeTraining

from rnnlab.config import load_config


def test_train_hands_over_what_was_asked_for(rnn: Call, training: FakeTraining) -> None:
    arguments = ["--set", "model.hidden=7", "--set", "seed=1", "--seed", "3", "--device", "cpu", "--name", "5"]
    result = rnn("train", "-c", written(), *arguments, "--out", "there", "--force")
    assert result.code == 0
    assert training.config == load_config(
        {"task": "addition", "model": {"hidden": 7}, "seed": 3, "device": "cpu", "name": "5"}
    )
    assert training.options is not None
    assert training.options.pop("command")[0] == "rnnlab"
    assert training.options == {"out": "there", "force": True, "resume": False, "force_memory": False}


def test_the_result_goes_to_stdout_and_the_rest_to_stderr(rnn: Call, training: FakeTraining) -> None:
    result = rnn("train", "-c", written())
    assert result.code == 0
    assert "one: completed, all updates made" in result.out
    assert result.err == "compiling, once\n"
    assert "\x1b" not in result.out + result.err
    result = rnn("train", "-c", written(), "--json", "--force", "--name", "two")
    printed = json.loads(result.out)
    assert (printed["status"], printed["path"], printed["result"]["eval_error"]) == ("completed", "runs/two", "nan")
    assert rnn("train", "-c", written(), "-q", "--name", "three") == Result(0, "", "")


@pytest.mark.parametrize(("option", "code"), [([], 0), (["--fail-on-diverged"], 3)])
def test_a_diverged_run_is_a_result(option: list[str], code: int, rnn: Call, training: FakeTraining) -> None:
    training.end = "diverged"
    result = rnn("train", "-c", written(), *option, "--json")
    assert result.code == code
    assert json.loads(result.out)["status"] == "diverged"
    assert ("one diverged: loss was not finite" in result.err) == bool(code)


def test_a_wrong_config_is_told_on_stderr_and_nothing_runs(rnn: Call, training: FakeTraining) -> None:
    result = rnn("train", "-c", written("task: additon\n"), "--seed", "x", "--set", "model.hiden=3")
    assert (result.code, result.out, training.config) == (2, "", None)
    places = [line.split(": ")[0] for line in result.err.splitlines()]
    assert places[0] == "c.yaml:1:7"
    assert sorted(places[1:]) == ["--seed x", "--set model.hiden=3"]


def test_a_config_from_stdin(rnn: Call, training: FakeTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"task: copy\n")))
    assert rnn("train", "--config", "-").code == 0
    assert training.config == load_config({"task": "copy"})


def test_a_dry_run_shows_the_config_and_writes_nothing(rnn: Call, training: FakeTraining, tmp_path: Path) -> None:
    result = rnn("train", "-c", written(), "--dry-run", "--set", "model.hidden=7", "--device", "cpu")
    assert (result.code, result.err, training.config) == (0, "", None)
    assert "# parameters: " in result.out
    assert load_config(written(result.out, "again.yaml")).model.hidden == 7
    data = json.loads(rnn("train", "-c", written(), "--dry-run", "--json", "--device", "cpu").out)
    assert data["config"]["train"]["updates"] == data["plan"]["updates"] == 1000
    assert {path.name for path in tmp_path.iterdir()} == {"c.yaml", "again.yaml"}


def test_a_dry_run_says_what_a_resumption_would_refuse(rnn: Call, training: FakeTraining) -> None:
    """--resume --dry-run makes the checks that --resume makes, and --force beside --resume is a contradiction."""
    refused = rnn("train", "-c", written(), "--resume", "--dry-run", "--name", "never")
    assert (refused.code, refused.out) == (2, "")
    assert "never is not a run: there is no such folder" in refused.err
    both = rnn("train", "-c", written(), "--resume", "--force")
    assert both.code == 2
    assert "--resume goes on with a run and --force replaces it" in both.err
    assert training.config is None
