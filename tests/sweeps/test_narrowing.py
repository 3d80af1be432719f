"""Some runs of a sweep are the same runs as in all of it."""

from __future__ import annotations

import re

import pytest
from commands import Call, written

import rnnlab
from rnnlab.errors import UsageError
from rnnlab.sweeps.file import load_sweep, narrowed

SWEEP = {
    "base": {"task": "addition", "train": {"updates": 2, "evaluate_size": 4}},
    "axes": {"grid": {"model.cell": ["rnn", "lstm"], "model.hidden": [3, 4, 5], "clip": ["none", "norm"]}},
    "seeds": 2,
}


@pytest.mark.parametrize(
    ("only", "left"),
    [([], 24), (["model.cell=lstm"], 12), (["model.hidden>3", "clip=norm"], 8), (["model.hidden=[3, 5]", "seed=1"], 8)],
)
def test_the_runs_that_are_left_are_those_of_the_whole(only: list[str], left: int) -> None:
    whole = load_sweep(SWEEP)
    some = narrowed(whole, only)
    assert len(some.members) == left
    assert {(member.name, member.identity) for member in some.members} <= {(m.name, m.identity) for m in whole.members}
    assert some.axes == whole.axes


@pytest.mark.parametrize(
    ("only", "message"),
    [
        (["model.cell=gruu"], "--only leaves nothing of the 24 runs: no run has model.cell = gruu"),
        (["model.cel=rnn"], "no run has a setting 'model.cel'; did you mean 'model.cell'?"),
        (["model.cell"], "'model.cell' is no condition"),
        (["model.hidden=3", "model.hidden=4"], "no run fulfils all conditions together"),
    ],
)
def test_what_leaves_nothing_is_answered(only: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        narrowed(load_sweep(SWEEP), only)


def test_the_rest_is_left_to_train(rnn: Call) -> None:
    written(
        "base: {task: {name: addition, length: 10}, train: {updates: 2, evaluate_size: 4}}\n"
        "axes: {grid: {model.hidden: [3, 4]}}\nseeds: 2\n",
        "s.yaml",
    )
    done = rnn("sweep", "-c", "s.yaml", "--engine", "inline", "--only", "model.hidden=3", "--only", "seed<1")
    assert (done.code, len(rnnlab.load_runs("runs"))) == (0, 1)
    assert "1 run" in done.out
    again = rnn("sweep", "-c", "s.yaml", "--engine", "inline", "--dry-run")
    assert "1 completed" in again.out + again.err
    # What is not chosen has not left the sweep.
    result = rnnlab.sweep("s.yaml", only=["model.hidden=4"], engine="inline")
    assert (result.trained, result.runs, result.dropped) == (2, 2, 0)
