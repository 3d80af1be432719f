"""What probes measured has its place in every form of a report, also that of a probe from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
import pytest
from fakes import fake_group
from reports import findings
from rich.console import Console
from scipy.stats import t as student

from rnnlab.column import Column
from rnnlab.compare.probe_series import Spread
from rnnlab.probes import PROBES, Chart, Probe
from rnnlab.report.export import as_csv, as_json
from rnnlab.report.figures import write_figures
from rnnlab.report.page import page
from rnnlab.report.page.payload import payload
from rnnlab.report.terminal.comparison import report
from rnnlab.runs.run import Run
from rnnlab.runs.writers import TableLog

pytestmark = pytest.mark.xdist_group("figures")


class Outside(Probe):
    """Made up.

    It declares no chart.
    """

    columns: ClassVar[tuple[Column, ...]] = (Column("outer", "number", "nats", "", "made up"),)
    table: ClassVar[tuple[Column, ...]] = (
        Column("size", "number", "1", "", "made up"),
        Column("single", "number", "m", "", "made up"),
    )
    at: ClassVar[str] = "lag"
    name: Literal["outside"] = "outside"


@pytest.fixture
def outside() -> Iterator[None]:
    PROBES["outside"] = Outside
    yield
    del PROBES["outside"]


def measured_by(runs: Sequence[Run], probe: str = "outside") -> None:
    """Write that a probe measured in these runs: size lag + seed + update, single 2 seed, outer seed + update."""
    for run in runs:
        seed = run.settings["seed"]
        with TableLog(run.dir.tables) as log:
            for update in (0, 10):
                log.write(update, probe, 0, "W", [1, 2, 9], {"size": [lag + seed + update for lag in (1, 2, 9)]})
                log.write(update, probe, 0, "W", [0], {"single": [2.0 * seed]})
        metrics = pd.read_csv(run.dir.metrics)
        metrics.assign(outer=metrics["update"] + seed).to_csv(run.dir.metrics, index=False, lineterminator="\n")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    rates: Mapping[int, float] = {0: -10, 1: -12, 2: -17}
    measured_by(fake_group(root, rates, model__cell="rnn", probe__which=["outside"]))
    fake_group(root, rates, model__cell="lstm", probe__which=["outside"])
    return root


def test_a_spread_is_the_median_and_students_interval_of_the_mean() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 7))
    curves = [(np.arange(7), row) for row in values[:4]] + [(np.arange(4), values[4, :4])]
    spread = Spread.of(curves)
    for x in range(7):
        there = values[:, x] if x < 4 else values[:4, x]
        low, high = student.interval(0.95, len(there) - 1, there.mean(), there.std(ddof=1) / len(there) ** 0.5)
        assert spread.median[x] == pytest.approx(np.median(there), rel=1e-12)
        assert (spread.low[x], spread.high[x]) == pytest.approx((low, high), rel=1e-12)
        assert spread.runs[x] == len(there)


def test_what_is_not_finite_has_a_median_and_no_interval() -> None:
    spread = Spread.of([([0, 1], [-np.inf, 1.0]), ([0, 1], [1.0, 2.0]), ([0, 1], [2.0, 4.0]), ([0], [3.0])])
    assert spread.median.tolist() == [1.5, 2.0]
    assert np.isnan(spread.low).tolist() == [True, False]
    assert Spread.of([([0], [-np.inf]), ([0], [1.0])]).median.tolist() == [-np.inf]


@pytest.mark.usefixtures("outside")
def test_a_probe_from_outside_has_a_section_on_the_page(runs: Path) -> None:
    found = findings(runs, "model.cell")
    data, _ = payload(found)
    (probe,) = data["probes"]
    assert (probe["name"], probe["meaning"]) == ("outside", "Made up.")
    size, single, outer = probe["charts"]
    rnn = [group["label"] for group in data["groups"]].index("rnn")
    # Of seeds 0, 1 and 2 the one in the middle, at the last update.
    (line,) = size["places"][0]["lines"]
    assert (size["x"], line["group"], line["x"], line["median"]) == ("lag", rnn, [1, 2, 9], [12, 13, 20])
    assert single["heading"] == "single (m)"
    assert single["x"] == outer["x"] == "update"
    assert outer["places"][0]["lines"][0]["median"] == [1, 11]
    assert 'id="chart-probes"' in page(found)


@pytest.mark.usefixtures("outside")
def test_its_figures_have_their_data_beside_them(runs: Path, tmp_path: Path) -> None:
    written = {
        path.name for path in write_figures(findings(runs, "model.cell"), tmp_path / "out", ["svg"], command="c")
    }
    assert {f"probe-outside{end}" for end in (".svg", ".csv", ".sh", "-updates.svg", "-updates.csv")} <= written
    data = pd.read_csv(tmp_path / "out" / "probe-outside.csv")
    assert data["at"].tolist() == [1, 2, 9]
    assert data["median"].tolist() == [12, 13, 20]
    assert set(data["model.cell"]) == {"rnn"}
    updates = pd.read_csv(tmp_path / "out" / "probe-outside-updates.csv").set_index(["quantity", "update"])["median"]
    assert updates.to_dict() == {("single", 0): 2, ("single", 10): 2, ("outer", 0): 1, ("outer", 10): 11}


@pytest.mark.usefixtures("outside")
def test_terminal_json_and_csv_have_the_medians_at_the_update_that_is_asked_for(runs: Path) -> None:
    found = findings(runs, "model.cell", at=1)
    console = Console(width=100)
    with console.capture() as captured:
        console.print(report(found, 100))
    text = " ".join(captured.get().split())
    assert "outside, update 0, medians over runs" in text
    assert "size, W rnn 2 at lag 1, 10 at lag 9" in text
    assert "outer rnn 1 nats" in text
    groups = {group["model.cell"]: group["probes"] for group in json.loads(as_json(found))["groups"]}
    assert groups["lstm"] == {}
    size = next(one for one in groups["rnn"]["outside"] if one["quantity"] == "size")
    assert (size["layer"], size["part"], size["update"], size["at"]) == (0, "W", 0, [1, 2, 9])
    assert (size["median"], size["runs"]) == ([2, 3, 10], [3, 3, 3])
    assert "outer_median" in as_csv(found).splitlines()[0]


def test_a_probe_that_is_not_known_here_is_drawn_by_the_names_in_its_table(tmp_path: Path) -> None:
    name = "../unknown $x$"
    measured_by(fake_group(tmp_path / "runs", {0: -1.0}, probe__which=[name]), name)
    found = findings(tmp_path / "runs")
    assert [chart["heading"] for chart in payload(found)[0]["probes"][0]["charts"]] == ["size", "single"]
    written = write_figures(found, tmp_path / "out", ["png"])
    assert "probe-___unknown__x_.png" in {path.name for path in written}
    assert {path.parent for path in written} == {tmp_path / "out"}


@pytest.mark.usefixtures("outside")
def test_a_damaged_table_is_named_and_left_out(runs: Path) -> None:
    next(runs.glob("*rnn*s0/probes.csv")).write_text("no table\n")
    found = findings(runs, "model.cell")
    assert any("without its probes: cell=rnn" in note for note in found.notes())
    (section,) = found.probes.sections
    size = section.of(section.charts[0], section.places(section.charts[0])[0], 1)
    assert size is not None
    assert size.reading.runs.tolist() == [2, 2, 2]


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_declares_charts_of_what_it_measures(name: str) -> None:
    probe = PROBES[name]
    names = [column.name for column in (*probe.columns, *probe.table)]
    drawn = [chart.quantity for chart in probe.drawn()]
    assert set(drawn) <= set(names)
    assert len(set(drawn)) == len(drawn)
    assert bool(drawn) == bool(names)


def test_a_logarithmic_chart_is_linear_where_it_has_to_be(tmp_path: Path) -> None:
    class Logarithmic(Outside):
        charts: ClassVar[tuple[Chart, ...]] = (Chart("outer", scale="log"), Chart("size", scale="log"))

    PROBES["outside"] = Logarithmic
    try:
        measured_by(fake_group(tmp_path / "runs", {1: -1.0}, probe__which=["outside"]))
        logarithmic = {
            chart["heading"]: chart["log"] for chart in payload(findings(tmp_path / "runs"))[0]["probes"][0]["charts"]
        }
    finally:
        del PROBES["outside"]
    # From 1 to 11, and from 12 to 20.
    assert logarithmic == {"outer": True, "size": False}
