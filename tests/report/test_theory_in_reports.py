"""What theory says stands beside what was measured: in notes, JSON, the figure with its data, and the page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import rnnlab
from rnnlab.compare.theory_lines import TheoryLine, slopes_of, theory_lines
from rnnlab.report.export import as_json
from rnnlab.report.figures.data import curve_data
from rnnlab.report.figures.plans import FigureOptions, plans
from rnnlab.report.findings import Findings
from rnnlab.report.page.payload import payload

RHO = 0.9


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of an orthogonal linear recurrence, which rho^lag describes before the first update, and an LSTM."""
    out = tmp_path_factory.mktemp("theory") / "runs"
    linear = {"cell": "rnn", "nonlinearity": "linear", "init": {"recurrent": {"name": "orthogonal", "gain": RHO}}}
    for model in (linear, {"cell": "lstm"}):
        for seed in (0, 1):
            config = {
                "task": {"name": "noise", "length": 30},
                "model": {**model, "hidden": 8},
                "train": {"updates": 2, "batch": 4, "evaluate_size": 4},
                "probe": {"which": ["adjoint", "theory"], "schedule": [0, 1]},
                "dtype": "float64",
                "seed": seed,
            }
            rnnlab.train(config, out=out)
    return out


def findings(runs: Path, at: int | None = 0) -> Findings:
    return Findings(rnnlab.load_runs(runs).group_by("model.cell"), at)


def test_a_linear_recurrence_is_its_line(runs: Path) -> None:
    lstm, linear = findings(runs).measured
    assert lstm.theory == ()
    lines = {line.name: line for line in linear.theory}
    assert lines["rho^lag"] == TheoryLine("rho^lag", lines["rho^lag"].slope, 2)
    assert lines["rho^lag"].slope == pytest.approx(np.log10(RHO), abs=1e-12)
    assert linear.curve is not None
    np.testing.assert_allclose(lines["rho^lag"].beside(linear.curve), linear.curve.median, atol=1e-8)


def test_it_is_that_of_the_update_that_was_read(runs: Path) -> None:
    """After an update W_hh is no longer orthogonal."""
    assert [line.name for line in findings(runs, 0).measured[1].theory] == ["rho^lag", "vanishing bound"]
    assert "rho^lag" not in [line.name for line in findings(runs, None).measured[1].theory]


def test_it_is_said_in_notes_and_json(runs: Path) -> None:
    rate = f"{100 * np.log10(RHO):.2f}"
    (note,) = [note for note in findings(runs).notes() if note.startswith("theory")]
    assert note.startswith(f"theory, decades per 100 timesteps: rnn: rho^lag {rate}, vanishing bound {rate}; measured ")
    lstm, linear = json.loads(as_json(findings(runs)))["groups"]
    assert (lstm["theory"], linear["theory"]["rho^lag"]) == ({}, pytest.approx(100 * np.log10(RHO), abs=1e-9))


def test_it_is_drawn_and_in_the_figures_data(runs: Path) -> None:
    from matplotlib.figure import Figure

    found = findings(runs)
    data = curve_data(found.measured)
    of_rnn = data[data["model.cell"] == "rnn"]
    np.testing.assert_allclose(of_rnn["rho^lag"], of_rnn["median"], atol=1e-8)
    assert data[data["model.cell"] == "lstm"]["rho^lag"].isna().all()
    plan = next(plan for plan in plans(found, FigureOptions()) if plan.name == "gradient")
    figure = Figure(figsize=(plan.width, plan.height), layout="constrained")
    plan.draw(figure)
    names = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert {"rho^lag", "vanishing bound"} <= set(names)


def test_it_is_on_the_page_at_each_position_of_the_slider(runs: Path) -> None:
    data, _ = payload(findings(runs))
    lstm, linear = data["groups"]
    assert all(curve["theory"] == [] for curve in lstm["curves"])
    assert data["positions"] == [0, 1]
    first, *_, last = ([line["name"] for line in curve["theory"]] for curve in linear["curves"])
    assert "rho^lag" in first
    assert "rho^lag" not in last
    begin, end = linear["curves"][0]["theory"][0]["values"]
    assert end - begin == pytest.approx(29 * np.log10(RHO), abs=1e-9)


def test_of_runs_of_which_one_has_none_there_is_none(runs: Path) -> None:
    linear, lstm = (
        [slopes_of(run) for run in rnnlab.load_runs(runs).where(f"model.cell = {cell}")] for cell in ("rnn", "lstm")
    )
    assert theory_lines(linear, 0)
    assert theory_lines([*linear, *lstm], 0) == ()
    assert theory_lines([]) == ()


def test_a_line_begins_at_the_first_finite_reading() -> None:
    line = TheoryLine("rho^lag", -0.5, 1)
    np.testing.assert_allclose(line.through([0, 1, 2], [-np.inf, -3.0, -9.0]), [-2.5, -3.0, -3.5])
    assert np.isnan(line.through([0, 1], [np.nan, np.inf])).all()
