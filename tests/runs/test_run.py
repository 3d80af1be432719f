"""A run comes back from disk as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes import even_columns, fake_run

from rnnlab.analysis.verdict import verdict_of
from rnnlab.errors import UsageError
from rnnlab.runs.readers import read_gradients, read_metrics
from rnnlab.runs.run import Run
from rnnlab.runs.writers import GradientLog


def test_a_run_is_what_its_files_say(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    assert (run.name, run.status, run.info["reason"]) == ("one", "completed", "all updates done")
    assert run.config["model"] == {"cell": "rnn"}
    assert run.settings == {"model.cell": "rnn", "seed": 0, "name": "one"}
    pd.testing.assert_frame_equal(run.gradients, read_gradients(run.dir.gradients))
    pd.testing.assert_frame_equal(run.metrics, read_metrics(run.dir.metrics))


def test_the_curve_is_the_top_layer_at_the_last_update_unless_asked_otherwise(tmp_path: Path) -> None:
    run = fake_run(tmp_path, updates=(0, 5), layers=3, states=("h", "c"))
    assert (run.updates(), run.states()) == ([0, 5], ["h", "c"])
    last = run.curve()
    assert set(last["update"]) == {5}
    assert set(last["layer"]) == {2}
    assert set(last["state"]) == {"h"}
    assert last["lag"].tolist() == list(range(50))
    first = run.curve(update=0, layer=1, state="c")
    assert (set(first["update"]), set(first["layer"]), set(first["state"])) == ({0}, {1}, {"c"})


def test_the_verdict_is_that_of_the_curve(tmp_path: Path) -> None:
    run = fake_run(tmp_path, layers=2)
    curve = run.own_curve(0)
    figures = (curve[name] for name in ("lag", "log10_norm", "log10_direct", "log10_median"))
    assert run.verdict(0) == verdict_of(*figures)
    line = run.verdict(0).fit
    assert line is not None
    assert line.rate == pytest.approx(-10)
    assert (run.verdict(0).readouts, run.verdict(0, layer=0).readouts) == (1, 1)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"update": 3}, "recorded no gradient at update 3; it did at 0, 10"),
        ({"layer": 1}, "recorded no layer 1; it has 0"),
        ({"layer": -2}, "recorded no layer -2; it has 0"),
        ({"state": "c"}, "recorded no state 'c'; it has h"),
    ],
)
def test_what_was_not_recorded_is_refused_with_what_was(
    choice: dict[str, int | str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        fake_run(tmp_path).verdict(**choice)  # type: ignore[arg-type]


def test_a_run_without_gradients_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one recorded no gradients"):
        fake_run(tmp_path, updates=()).verdict()


def test_a_run_that_is_still_being_written_is_read_up_to_its_last_whole_row(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    with run.dir.gradients.open("a") as file:
        file.write("11,0,h,0,49,1.5")
    assert Run(run.path).gradients["update"].max() == 10


def test_the_last_finite_update_is_the_one_before_the_explosion(tmp_path: Path) -> None:
    run = fake_run(tmp_path, updates=(0, 1))
    t, inf = np.arange(50), np.full(50, np.inf)
    with GradientLog(run.dir.gradients) as log:
        log.write(2, 0, "h", even_columns(t, 49 - t, inf, inf, inf, inf, inf, inf))
    opened = Run(run.path)
    assert opened.updates() == [0, 1, 2]
    assert opened.last_finite_update() == 1
