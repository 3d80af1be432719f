"""The commands with parts of a user's own: asked for, refused, trained, resumed, repeated and listed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest
from commands import Call
from plugin_files import CELL, unload_all
from trainings import interrupted_after

ALLOWED = ("--plugin", "experiments/parts/my_cell.py", "--plugin", "experiments/parts/my_clip.py")


@pytest.mark.parametrize(
    "command",
    [
        ["validate", "experiments/c.yaml"],
        ["train", "-c", "experiments/c.yaml", "--dry-run"],
        ["train", "-c", "experiments/c.yaml", "--quiet", "--seed", "3"],
        ["sweep", "-c", "s.yaml", "--dry-run"],
        ["sweep", "-c", "s.yaml", "--quiet", "--engine", "inline"],
    ],
    ids=" ".join,
)
def test_the_refusal_ends_in_the_command_that_allows_it(command: Sequence[str], project: Path, rnn: Call) -> None:
    Path("s.yaml").write_text("base: experiments/c.yaml\nseeds: 2\n")
    refused = rnn(*command)
    assert refused.code == 2
    assert "experiments/c.yaml:1:11: plugins: parts/my_cell.py is code" in refused.out + refused.err
    assert not Path("runs").exists()
    last = next(line for line in refused.err.splitlines() if line.startswith("to allow it: "))
    said = shlex.split(last.removeprefix("to allow it: "))
    assert said == ["rnnlab", *command, "--allow-plugins"]
    allowed = rnn(*said[1:])
    assert allowed.code == 0, allowed.err


def test_a_run_says_what_code_it_was_made_with(project: Path, rnn: Call) -> None:
    trained = rnn("train", "-c", "experiments/c.yaml", *ALLOWED, "--name", "mine", "--quiet", "--json")
    assert trained.code == 0, trained.err
    info = json.loads(trained.out)
    assert [plugin["parts"] for plugin in info["plugins"]] == [["cells halved"], ["clips scaled"]]
    assert [Path(plugin["name"]).name for plugin in info["plugins"]] == ["my_cell.py", "my_clip.py"]
    assert all(len(plugin["sha256"]) == 64 for plugin in info["plugins"])
    for command in (["show", "mine"], ["ls"], ["report", "runs/"], ["verify"], ["verify", *ALLOWED]):
        shown = rnn(*command)
        assert (shown.code, shown.err) == (0, ""), shown.err
    assert "scaled 0.25" in " ".join(rnn("show", "mine").out.split()) or "scaled" in rnn("show", "mine").out


def test_parts_of_ones_own_are_listed_and_in_the_schema(project: Path, rnn: Call) -> None:
    assert "halved: Half of the state and half of a tanh." in rnn("list", "cells", *ALLOWED).out
    assert "halved" in json.loads(rnn("schema", *ALLOWED).out)["$defs"]["Model"]["properties"]["cell"]["enum"]
    wrong = rnn("train", "-c", "experiments/c.yaml", *ALLOWED, "--set", "model.cell=halfed")
    assert (wrong.code, "did you mean 'halved'?" in wrong.err) == (2, True)


def test_an_error_while_loading_is_one_line_and_has_a_traceback_on_demand(project: Path, rnn: Call) -> None:
    Path("bad.py").write_text("def f():\n    return 1 / 0\n\nf()\n")
    loaded = rnn("list", "--plugin", "bad.py")
    assert (loaded.code, loaded.out, loaded.err) == (2, "", "rnnlab: bad.py:2: ZeroDivisionError: division by zero\n")
    verbose = rnn("-v", "list", "--plugin", "bad.py")
    assert (verbose.code, 'bad.py", line 4, in <module>' in verbose.err) == (2, True)


def test_an_error_while_training_is_the_plugins_and_not_a_bug(project: Path, rnn: Call) -> None:
    text = CELL.replace("gate = (gx + gh).tanh()", "gate = (gx + gh[..., :1, :1] @ gh).tanh()")
    Path("experiments/parts/my_cell.py").write_text(text)
    failed = rnn("train", "-c", "experiments/c.yaml", *ALLOWED, "--quiet", "--name", "failing")
    assert failed.code == 3
    (line,) = failed.err.splitlines()
    assert line.startswith("rnnlab: experiments/parts/my_cell.py:17: RuntimeError: ")
    reason = json.loads(Path("runs/failing/run.json").read_text())["reason"]
    assert reason.startswith("experiments/parts/my_cell.py:17: RuntimeError: ")
    verbose = rnn("train", "-v", "-c", "experiments/c.yaml", *ALLOWED, "--quiet", "--name", "failing", "--force")
    assert "Traceback" in verbose.err


def test_a_run_is_not_resumed_with_other_code(project: Path, rnn: Call) -> None:
    train = ("train", "-c", "experiments/c.yaml", *ALLOWED, "--quiet", "--name", "cut")
    with interrupted_after(2):
        assert rnn(*train).code == 130
    file = Path("experiments/parts/my_cell.py")
    file.write_text(CELL.replace("/ 2", "/ 3"))
    refused = rnn(*train, "--resume")
    assert refused.code == 2
    assert "was begun with other code: my_cell.py has changed since (sha256 " in refused.err
    assert "bring that back to resume it, or train it again with --force" in refused.err
    file.write_text(CELL)
    assert rnn(*train, "--resume").code == 0


def test_a_rerun_says_that_the_code_has_changed(project: Path, rnn: Call) -> None:
    assert rnn("train", "-c", "experiments/c.yaml", *ALLOWED, "--quiet", "--name", "mine").code == 0
    unload_all()
    assert "to allow it: rnnlab rerun mine --check --allow-plugins" in rnn("rerun", "mine", "--check").err
    same = rnn("rerun", "mine", "--check", "--allow-plugins")
    assert (same.code, "has changed" in same.out) == (0, False)
    Path("experiments/parts/my_cell.py").write_text(CELL.replace("/ 2", "/ 3"))
    other = rnn("rerun", "mine", "--check", *ALLOWED)
    assert (other.code, "my_cell.py has changed since" in other.out) == (3, True)
    again = rnn("rerun", "mine", "--quiet", "--allow-plugins")
    assert (again.code, "my_cell.py has changed since" in again.err) == (0, True)


def test_a_run_is_not_made_longer_with_other_code(project: Path, rnn: Call) -> None:
    train = ("train", "-c", "experiments/c.yaml", *ALLOWED, "--quiet", "--name", "longer")
    assert rnn(*train).code == 0
    file = Path("experiments/parts/my_cell.py")
    file.write_text(CELL.replace("/ 2", "/ 3"))
    refused = rnn(*train, "--resume", "--set", "train.updates=50")
    assert refused.code == 2
    assert "was begun with other code: my_cell.py has changed since (sha256 " in refused.err
