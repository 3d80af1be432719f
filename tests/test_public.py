"""The public face: its calls are typed in full, hand on all that they are given, and say what they raise."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import rnnlab
from rnnlab import errors
from rnnlab.config import Config
from rnnlab.errors import RunExistsError, RunFolderError
from rnnlab.progress import Progress
from rnnlab.training import loop

SMALL: dict[str, Any] = {
    "task": {"name": "addition", "length": 12},
    "model": {"hidden": 3},
    "train": {"batch": 2, "updates": 4, "evaluate_size": 4},
    "name": "one",
}
CALLS = [rnnlab.train, rnnlab.sweep]
every_call = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)


@every_call
def test_a_call_is_typed_in_full(call: Any) -> None:
    signature = inspect.signature(call)
    for name, parameter in signature.parameters.items():
        assert parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY), name
        assert "Any" not in str(parameter.annotation), name
        assert parameter.annotation is not parameter.empty, name
    assert signature.return_annotation is not signature.empty
    with pytest.raises(TypeError, match="unexpected keyword argument 'watch'"):
        call(SMALL, watch=print)


@every_call
def test_a_call_says_what_its_parameters_are_and_what_it_raises(call: Any) -> None:
    docstring = inspect.getdoc(call) or ""
    for name in list(inspect.signature(call).parameters)[1:]:
        assert re.search(rf"\b{name}: ", docstring), name
    raised = re.findall(r"\b\w+Error\b", docstring.partition("Raises")[2])
    assert raised
    assert all(issubclass(getattr(errors, name), errors.RnnlabError) for name in raised)


def test_train_hands_on_all_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(loop, "train", lambda config, **given: asked.update(given, config=config))
    given = {"out": "there", "force": True, "resume": True, "force_memory": True, "observe": print, "notify": print}
    rnnlab.train(SMALL, sets=["model.hidden=5"], **given)
    described = asked.pop("config")
    assert isinstance(described, Config)
    assert described.model.hidden == 5
    assert asked == given


def test_train_from_python(tmp_path: Path) -> None:
    seen: list[Progress] = []
    run = rnnlab.train(SMALL, out=tmp_path, observe=seen.append)
    assert (run.status, seen[-1].done) == ("completed", 4)
    with pytest.raises(RunExistsError, match="is there already"):
        rnnlab.train(SMALL, out=tmp_path)
    with pytest.raises(RunFolderError, match="is completed"):
        rnnlab.train(SMALL, out=tmp_path, resume=True)


def test_a_run_is_repeated_from_its_config(tmp_path: Path) -> None:
    small = {
        "task": {"name": "addition", "length": 10},
        "model": {"hidden": 3},
        "train": {"updates": 3},
        "device": "cpu",
    }
    first = rnnlab.train(small, sets=["train.scan=general"], out=tmp_path)
    again = rnnlab.train(first.path / "config.yaml", out=tmp_path)
    assert (first.status, again.status) == ("completed", "completed")
    assert [run.name for run in rnnlab.load_runs(tmp_path)] == [first.name, again.name]
    assert first.gradients.equals(again.gradients)
