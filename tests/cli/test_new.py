"""`rnnlab new` writes a config that is right, and replaces no file."""

from __future__ import annotations

from pathlib import Path

from commands import Call, Result, written

from rnnlab.config import load_config


def test_new_writes_a_config_that_is_right_and_replaces_none(rnn: Call) -> None:
    assert rnn("new") == Result(
        0, "", "experiment.yaml is written; run it with: rnnlab train --config experiment.yaml\n"
    )
    assert load_config("experiment.yaml") == load_config({"task": "addition"})
    Path("experiment.yaml").write_text("mine")
    result = rnn("new")
    assert (result.code, result.out) == (2, "")
    assert "experiment.yaml is there already" in result.err
    assert Path("experiment.yaml").read_text() == "mine"
    assert rnn("new", "--force").code == 0
    assert "rnnlab train --config experiment.yaml" in Path("experiment.yaml").read_text()
    assert "cannot be written" in rnn("new", "no/such/folder.yaml").err


def test_new_to_stdout(rnn: Call, tmp_path: Path) -> None:
    result = rnn("new", "-")
    assert (result.code, result.err) == (0, "")
    assert load_config(written(result.out)) == load_config({"task": "addition"})
    assert [path.name for path in tmp_path.iterdir()] == ["c.yaml"]
