"""One linear recurrence reads the same wherever its samples end and wherever the loss is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from trainings import config

from rnnlab.compare.measured import measure_run
from rnnlab.training.loop import train

RHO = 0.8


def made(out: Path, **task: Any) -> Any:
    """An orthogonal linear recurrence scaled by 0.8, untrained."""
    init = {"recurrent": {"name": "orthogonal", "gain": RHO}}
    model = {"cell": "rnn", "nonlinearity": "linear", "hidden": 20, "init": init}
    task = {"name": "addition", "length": 100, **task}
    done = train(config(task=task, model=model, train={"batch": 20, "updates": 1, "evaluate_size": 20}), out=out)
    return done, measure_run(done)


@pytest.mark.parametrize(
    "task",
    [{}, {"jitter": 0.1}, {"jitter": 1.0}, {"loss": {"single": 50}}, {"loss": {"single": -30}, "jitter": 1.0}],
    ids=str,
)
def test_rate_horizon_and_effective_lag_are_in_closed_form(task: dict[str, Any], tmp_path: Path) -> None:
    done, measured = made(tmp_path, **task)
    assert measured.rate == pytest.approx(100 * math.log10(RHO), abs=1e-4)
    assert measured.horizon == pytest.approx(-2 / math.log10(RHO), abs=1e-4)
    # Over 51 lags it is 3.9994.
    assert measured.effective_lag == pytest.approx(RHO / (1 - RHO), abs=1e-3)
    assert measured.verdict.word == done.info["verdict"]["word"] == "vanishing"
    assert measured.verdict.readouts == 1
    assert done.verdict() == measured.verdict


def test_a_sum_over_read_outs_has_no_word_and_names_what_has(tmp_path: Path) -> None:
    done, measured = made(tmp_path, loss="all", jitter=0.1)
    assert (measured.rate, measured.horizon, measured.effective_lag) == (None, None, None)
    for verdict in (measured.verdict.as_dict(), done.info["verdict"]):
        assert (verdict["word"], verdict["fit"], verdict["horizon"]) == ("none", None, None)
        assert "rnnlab probe" in verdict["text"]
        assert "lyapunov" in verdict["text"]
