"""Conditions mean what they look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes import fake_group

from rnnlab.compare.collection import load_runs
from rnnlab.compare.conditions import condition
from rnnlab.errors import UsageError

FACTS: dict[str, Any] = {
    "task.length": 100,
    "clip.name": "norm",
    "clip.threshold": 0.5,
    "model.nonlinearity": None,
    "model.recurrent_bias": True,
    "task.stop": "error < 0.01",
    "status": "completed",
    "name": "1e4",
    "probe.which": ["adjoint", "weights"],
    "probe.schedule": [3],
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("task.length>=100", True),
        ("task.length > 100", False),
        ("task.length=100.0", True),
        ("task.length==1e2", True),
        ("task.length!=100", False),
        ("task.length = [50, 100]", True),
        ("task.length != [50, 100]", False),
        ("clip=norm", True),
        ("clip.name=[none, value]", False),
        ("clip.threshold<1", True),
        ("model.nonlinearity=null", True),
        ("model.nonlinearity!=null", False),
        ("model.nonlinearity=tanh", False),
        ("model.nonlinearity<1", False),
        ("model.recurrent_bias=true", True),
        ("model.recurrent_bias=1", False),
        ("status=completed", True),
        ("status='completed'", True),
        ("task.stop=error < 0.01", True),
        ("task.stop='error < 0.01'", True),
        ("task.length='100'", False),
        ("task.length=[0x64, x]", True),
        ("model.nonlinearity=~", True),
        ("model.nonlinearity=[tanh, null]", True),
        ("model.recurrent_bias=TRUE", True),
        ("model.recurrent_bias=tRUE", False),
        ("name=1e4", True),
        ("name=10000", False),
        ("name=['1e4']", True),
        ("name=[1, x]", False),
        ("name=null", False),
        ("probe.which=[adjoint, weights]", True),
        ("probe.which=[adjoint]", False),
        ("probe.which=adjoint", False),
        ("probe.schedule=3", True),
        ("probe.which!=[]", True),
        ("task.length<.inf", True),
        ("task.length<.nan", False),
        ("status=[completed, 'failed, or not']", True),
    ],
)
def test_a_condition_holds(text: str, holds: bool) -> None:
    assert condition(text).holds(FACTS) is holds


@pytest.mark.parametrize("text", ["", "task.length", "=3", "task.length>=", ">= 3"])
def test_what_is_no_condition_is_named_with_the_form(text: str) -> None:
    with pytest.raises(UsageError, match="is no condition; write KEY, then one of = != < <= > >="):
        condition(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name=[a", "not YAML: .*; put text in quotes"),
        ("name='a' b", "not YAML: .*; put text in quotes"),
        ("name=[{a: 1, a: 2}]", "given twice; the first is at line 1"),
        ("clip={name: norm}", "no setting is a mapping; name one of its keys, such as clip.name"),
    ],
)
def test_a_value_that_cannot_be_read_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=f"is no condition: {reason}"):
        condition(text)


def test_only_numbers_have_an_order() -> None:
    with pytest.raises(UsageError, match="> compares with a number"):
        condition("model.cell>lstm")
    with pytest.raises(UsageError, match="<= compares with a number"):
        condition("task.length<=[1,2]")


def test_runs_are_chosen_by_conditions(tmp_path: Path) -> None:
    fake_group(tmp_path, {0: -5, 1: -6}, model__cell="rnn")
    fake_group(tmp_path, {0: -1, 1: -2}, model__cell="lstm", status="diverged")
    runs = load_runs(tmp_path)
    assert len(runs.where("model.cell=lstm")) == 2
    assert len(runs.where("seed=0", "status=completed")) == 1
    assert len(runs.where()) == 4
    assert len(runs.where("name=cell=lstm-T40-s0")) == 1
    with pytest.raises(UsageError, match=r"no run has a setting 'model.cel'; did you mean 'model.cell'\?"):
        runs.where("model.cel=lstm")
    with pytest.raises(UsageError, match=r"no run has a setting 'length'; did you mean 'task.length'\?"):
        runs.where("length=3")
    (tmp_path / "cell=rnn-T40-s0" / "config.yaml").write_text("- broken")
    kept = load_runs(tmp_path).where("seed>=0")
    assert len(kept) == 3
    assert "it is not a mapping" in kept.left_out["cell=rnn-T40-s0"]
