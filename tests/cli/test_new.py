"""`rnnlab new` writes a config that is right, and replaces no file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Call, Result, written

from rnnlab.config import load_config
from rnnlab.sweeps.file import load_sweep


def test_new_writes_a_config_that_is_right_and_replaces_none(rnn: Call) -> None:
    assert rnn("new") == Result(
        0, "", "experiment.yaml is written; run it with: rnnlab train --config experiment.yaml\n"
    )
    assert load_config("experiment.yaml").train.stop == "error < 0.02"
    Path("experiment.yaml").write_text("mine")
    result = rnn("new")
    assert (result.code, result.out) == (2, "")
    assert "experiment.yaml is there already" in result.err
    assert Path("experiment.yaml").read_text() == "mine"
    assert rnn("new", "--force").code == 0
    assert "rnnlab train --config experiment.yaml" in Path("experiment.yaml").read_text()
    assert "cannot be written" in rnn("new", "no/such/folder.yaml").err


def test_a_config_with_the_name_of_a_sweep_is_told_from_one(rnn: Call) -> None:
    hint = "a sweep, many runs, is written with --sweep"
    assert hint in rnn("new", "my_sweep.yaml").err
    assert hint not in rnn("new", "--sweep", "mine_sweep.yaml").err


def test_new_to_stdout(rnn: Call, tmp_path: Path) -> None:
    result = rnn("new", "-")
    assert (result.code, result.err) == (0, "")
    assert load_config(written(result.out)).train.stop == "error < 0.02"
    assert [path.name for path in tmp_path.iterdir()] == ["c.yaml"]


def test_new_copies_what_ships_and_says_how_to_run_it(rnn: Call) -> None:
    assert rnn("new", "--from", "demo").err == "demo.yaml is written; run it with: rnnlab train --config demo.yaml\n"
    assert rnn("new", "--from", "sweep_demo", "my sweep.yaml").err.endswith("rnnlab sweep --config 'my sweep.yaml'\n")
    assert rnn("new", "--sweep").err == "sweep.yaml is written; run it with: rnnlab sweep --config sweep.yaml\n"
    assert len(load_sweep("sweep.yaml").members) == 18
    assert load_config("demo.yaml").name == "demo"
    assert "did you mean 'demo'" in rnn("new", "--from", "dmeo").err
    assert rnn("new", "--from", "demo", "--sweep").code == 2


def test_what_ships_is_listed_with_its_questions(rnn: Call) -> None:
    listed = json.loads(rnn("configs", "--json").out)
    assert {one["name"]: one["kind"] for one in listed}["sweep_demo"] == "sweep"
    assert all(one["question"].endswith("?") and one["time"] for one in listed)
    plain = rnn("configs").out.splitlines()
    assert len(plain) == 2 * len(listed)


@pytest.mark.slow
def test_the_config_to_start_from_learns_its_task(rnn: Call) -> None:
    """In some ten seconds on two cores, where nothing else runs."""
    rnn("new")
    run = json.loads(rnn("train", "--config", "experiment.yaml", "--json").out)
    assert (run["status"], run["reason"]) == ("completed", "stop rule met: error < 0.02")
