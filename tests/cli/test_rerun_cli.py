"""`rnnlab rerun`: a run trained again from its own config, and compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import Call
from trainings import fleet_config, interrupted_after

from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run import Run
from rnnlab.training.fleet import Fleet
from rnnlab.training.loop import train, train_fleet
from rnnlab.training.start import Start


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checked(call: Call, name: str) -> tuple[int, dict[str, Any]]:
    result = call("rerun", name, "--check", "--json")
    return result.code, json.loads(result.out)


def test_a_run_gives_the_same_bytes_again(desk: Path, rnn: Call) -> None:
    train(fleet_config(name="one"))
    before = {path.name: path.read_bytes() for path in Path("runs/one").iterdir()}
    code, facts = checked(rnn, "one")
    assert (code, facts["equal"], facts["differences"]) == (0, True, [])
    assert [each["subject"] for each in facts["compared"]] == ["gradients.csv", "metrics.csv", "weights", "result"]
    assert {path.name: path.read_bytes() for path in Path("runs/one").iterdir()} == before
    assert [path.name for path in Path("runs").iterdir() if not path.name.startswith(".")] == ["one"]
    lines = rnn("rerun", "one", "--check").out.splitlines()
    assert lines[0] == "equal   gradients.csv: equal, byte for byte"


def test_a_run_of_a_fleet_gives_the_same_bytes_alone(desk: Path, rnn: Call) -> None:
    train_fleet([Start(fleet_config(name=f"s{seed}", seed=seed), f"s{seed}") for seed in range(3)], out="runs")
    assert Run("runs/s1").info["fleet"] == 3
    assert checked(rnn, "s1")[1]["equal"]


def test_an_interrupted_run_is_compared_as_far_as_it_goes(desk: Path, rnn: Call) -> None:
    with interrupted_after(5), pytest.raises(KeyboardInterrupt, match="stop"):
        train(fleet_config(name="cut"))
    code, facts = checked(rnn, "cut")
    assert (code, facts["equal"]) == (0, True)
    assert "equal as far as it goes" in facts["compared"][0]["text"]


def test_a_difference_is_found_and_measured(desk: Path, rnn: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on another processor: here the run was trained with a weight a little larger."""
    build = Fleet.__init__

    def nudged(self: Fleet, *arguments: Any, **how: Any) -> None:
        build(self, *arguments, **how)
        self.network.parameters["layer0.W_hh"].mul_(1 + 1e-3)

    with monkeypatch.context() as patch:
        patch.setattr(Fleet, "__init__", nudged)
        train(fleet_config(name="one"))
    RunFolder("runs/one").update(machine={"system": "Plan 9", "processor": "abacus"})
    code, facts = checked(rnn, "one")
    assert (code, facts["equal"]) == (3, False)
    texts = {each["subject"]: each["text"] for each in facts["compared"]}
    assert "differs from line 2 on; the largest difference is" in texts["gradients.csv"]
    assert "loss" in texts["metrics.csv"]
    assert texts["weights"].startswith("differ by ")
    assert "result" in texts
    assert any(line.startswith("processor is ") and "was abacus" in line for line in facts["differences"])
    assert "is not reproduced here; docs/REPRODUCIBILITY.md" in rnn("rerun", "one", "--check").err


def test_a_terminal_obeys_nothing_of_what_a_run_was_trained_with(desk: Path, rnn: Call) -> None:
    train(fleet_config(name="one"))
    RunFolder("runs/one").update(versions={"torch": "\x1b[31m", "\x1b]0;title\x07": "x" * 50_000})
    result = rnn("rerun", "one", "--check")
    assert result.code == 0, result.err
    assert "and was ?[31m" in result.out
    assert all(one.isprintable() or one == "\n" for one in result.out)
    assert len(result.out) < 2_000


def test_without_check_a_new_run_is_made(desk: Path, rnn: Call) -> None:
    train(fleet_config(name="one"))
    assert rnn("rerun", "one", "-q").code == 0
    assert rnn("rerun", "one", "--name", "third", "-q").code == 0
    first, *others = (RunFolder(f"runs/{name}").gradients.read_bytes() for name in ("one", "one-again", "third"))
    assert others == [first, first]
    again = rnn("rerun", "one")
    assert again.code == 2
    assert "one-again is there already" in again.err
    assert "--check keeps nothing" in rnn("rerun", "one", "--check", "--force").err
