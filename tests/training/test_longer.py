"""A run that is made longer has the weights of one that was that long from the start; another experiment is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from commands import Call

from rnnlab.config import load_config
from rnnlab.config.schema import Config
from rnnlab.errors import RunFolderError
from rnnlab.runs.run import Run
from rnnlab.training.checkpoints import parameters_of
from rnnlab.training.loop import train
from rnnlab.training.verify import verify_run

BASE = {"task": {"name": "addition", "length": 10}, "model": {"cell": "rnn", "hidden": 4}, "name": "one"}


def config(updates: int = 6, **train_keys: object) -> Config:
    keys = {"batch": 4, "updates": updates, "evaluate_every": 5, "evaluate_size": 8, **train_keys}
    return load_config({**BASE, "train": keys, "probe": {"schedule": {"name": "every", "n": 2}}})


def test_it_is_the_run_that_was_that_long_from_the_start(tmp_path: Path) -> None:
    train(config(6), out=tmp_path / "a")
    longer = train(config(13), out=tmp_path / "a", resume=True)
    whole = train(config(13), out=tmp_path / "b")
    assert (longer.status, longer.info["updates"], longer.info["continued"]) == ("completed", 13, [6])
    assert longer.info["identity"] == whole.info["identity"] == load_config(longer.dir.config).identity()
    weights, expected = parameters_of(longer), parameters_of(whole)
    assert all(np.array_equal(weights[name], expected[name]) for name in expected)
    assert longer.dir.gradients.read_bytes() == whole.dir.gradients.read_bytes()
    # The first end was evaluated, and that stays.
    extra = set(longer.metrics["update"][longer.metrics["eval_loss"].notna()]) - set(
        whole.metrics["update"][whole.metrics["eval_loss"].notna()]
    )
    assert extra == {5}
    assert verify_run(longer.path).whole
    again = train(config(15), out=tmp_path / "a", resume=True)
    assert again.info["continued"] == [6, 13]
    assert verify_run(again.path).whole


def test_a_stop_rule_is_taken_away_first(tmp_path: Path) -> None:
    first = train(config(50, stop="loss < 1000"), out=tmp_path)
    assert first.info["updates"] == 5
    with pytest.raises(RunFolderError, match=r"ended by its stop rule; add --set train\.stop=null"):
        train(config(60, stop="loss < 1000"), out=tmp_path, resume=True)
    assert train(config(8), out=tmp_path, resume=True).info["updates"] == 8


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["train.updates=4"], "one has made 6 updates; train.updates must be more"),
        (["train.updates=9", "optimizer.lr=0.5"], "optimizer.lr is 0.001 there and 0.5 here"),
        ([], "one is completed; only an interrupted or a failed run can be resumed; with more updates it can go on"),
    ],
)
def test_what_is_no_longer_run_is_refused_with_the_key(tmp_path: Path, sets: list[str], message: str) -> None:
    run = train(config(6), out=tmp_path)
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}
    with pytest.raises(RunFolderError, match=re.escape(message)) as refused:
        train(load_config(config(6).resolved(), sets), out=tmp_path, resume=True)
    assert "train.updates is" not in str(refused.value)
    assert {path.name: path.read_bytes() for path in run.path.iterdir()} == before


def test_a_diverged_run_does_not_go_on(tmp_path: Path) -> None:
    run = train(config(6), out=tmp_path)
    run.dir.update(status="diverged")
    with pytest.raises(RunFolderError, match=r"one is diverged, and does not go on whatever train\.updates is"):
        train(config(9), out=tmp_path, resume=True)


def test_an_interruption_between_run_json_and_the_config_is_mended(tmp_path: Path) -> None:
    run = train(config(6), out=tmp_path)
    run.dir.update(identity=config(9).identity(), status="interrupted", continued=[6], files=None)
    longer = train(config(9), out=tmp_path, resume=True)
    assert longer.info["updates"] == 9
    assert load_config(longer.dir.config).identity() == config(9).identity()
    assert verify_run(longer.path).whole


def test_on_the_command_line(rnn: Call, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(config(4).to_yaml())
    assert rnn("train", "-c", "one.yaml", "-q").code == 0
    assert rnn("train", "-c", "one.yaml", "--resume", "--set", "train.updates=7", "-q").code == 0
    assert Run("runs/one").info["updates"] == 7
