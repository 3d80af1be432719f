"""Figures are as wide as a column, are vectors, carry their fonts, and have their data beside them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes import fake_group
from reports import FORMULA, findings

from rnnlab.errors import UsageError
from rnnlab.report.figures import write_figures
from rnnlab.report.figures.panels import SIZES

# Their figures are drawn once for several tests, and drawing takes a second a figure.
pytestmark = pytest.mark.xdist_group("figures")

KINDS = ["pdf", "svg", "png"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("figures") / "runs"
    for timesteps in (40, 60):
        fake_group(root, {0: -10, 1: -12, 2: -14}, model__cell="rnn", timesteps=timesteps, error=0.5)
        fake_group(root, {0: -1, 1: -2}, model__cell="lstm", timesteps=timesteps)
    return root


@pytest.fixture(scope="module")
def written(runs: Path) -> list[Path]:
    """The figures of all runs, of every kind."""
    return write_figures(findings(runs), runs.parent / "out", KINDS)


def test_each_figure_has_its_data_beside_it(written: list[Path]) -> None:
    assert {path.name for path in written} == {
        f"{name}.{kind}"
        for name in ("gradient", "rates", "success", "heatmaps")
        for kind in ("pdf", "svg", "png", "csv")
    }
    gradient = pd.read_csv(written[0].parent / "gradient.csv").set_index(["task.length", "model.cell"])
    assert gradient.loc[[(60, "rnn")], "median"].to_numpy() == pytest.approx(-0.12 * np.arange(60))
    assert gradient.loc[[(60, "lstm")], "low"].isna().all()
    rates = pd.read_csv(written[0].parent / "rates.csv")
    assert rates[rates["model.cell"] == "rnn"]["rate"].to_numpy() == pytest.approx([-10, -12, -14] * 2)
    success = pd.read_csv(written[0].parent / "success.csv")
    assert success["rate"].tolist() == [1, 0, 1, 0]
    heat = pd.read_csv(written[0].parent / "heatmaps.csv")
    assert set(heat["run"]) >= {"cell=rnn-T40-s1"}
    first = heat[(heat["run"] == "cell=rnn-T40-s1") & (heat["update"] == 0)]
    assert first["log10_norm"].to_numpy() == pytest.approx(-0.12 * np.arange(40))


def test_figures_are_vectors_of_a_columns_width_with_their_fonts(written: list[Path]) -> None:
    folder = written[0].parent
    for name in ("gradient", "rates", "success"):
        pdf, svg = (folder / f"{name}.pdf").read_bytes(), (folder / f"{name}.svg").read_text()
        assert b"/FontFile2" in pdf
        assert b"/Subtype /Type3" not in pdf
        assert b"/Subtype /Image" not in pdf
        assert float(re.findall(r'width="([\d.]+)pt"', svg)[0]) == pytest.approx(72 * SIZES["column"].width)
        assert "<text" not in svg
        assert "<image" not in svg


def test_the_same_runs_give_the_same_bytes(runs: Path, written: list[Path], tmp_path: Path) -> None:
    again = write_figures(findings(runs), tmp_path, KINDS)
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in again]


def test_comparisons_have_figures_of_their_own(runs: Path, tmp_path: Path) -> None:
    names = {path.name for path in write_figures(findings(runs, "model.cell"), tmp_path / "out", ["png"])}
    assert {"gradient-1.png", "gradient-2.png", "rates-2.csv"} <= names
    assert "success-1.png" not in names


def test_formulas_stay_texts(tmp_path: Path) -> None:
    for value in (FORMULA, "plain"):
        fake_group(tmp_path / "runs", {0: -1}, model__label=value)
    write_figures(findings(tmp_path / "runs"), tmp_path, ["png"])
    assert set(pd.read_csv(tmp_path / "rates.csv")["model.label"]) == {f"'{FORMULA}", "plain"}


def test_no_control_character_is_drawn(tmp_path: Path) -> None:
    """matplotlib would warn of them on the terminal, as they stand."""
    for value in ("a\x1b[31m", "b\x07\u202e"):
        fake_group(tmp_path / "runs", {0: -1, 1: -2}, model__label=value)
    write_figures(findings(tmp_path / "runs"), tmp_path, ["svg"])
    assert "\\x1b" in (tmp_path / "rates.csv").read_text()


def test_dollar_signs_are_drawn_as_they_stand(tmp_path: Path) -> None:
    """matplotlib reads what stands between two of them as a formula, and refuses what is none."""
    names = [r"$\frac{$", "$x^$", r"a\$5$\x$"]
    for value in names:
        for length in (10, 20):
            fake_group(tmp_path / "runs", {0: -1, 1: -2}, model__label=value, timesteps=length)
    write_figures(findings(tmp_path / "runs", "model.label", "task.length"), tmp_path, ["svg"])
    for figure in ("gradient", "rates", "success", "heatmaps"):
        svg = (tmp_path / f"{figure}.svg").read_text(encoding="utf-8")  # each text is in a comment beside its shapes
        assert all(f"{name} -->" in svg or f"<!-- {name}" in svg for name in names), figure


def test_what_cannot_be_is_said_before(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"--format pfd: there is no such format; did you mean 'pdf'\?"):
        write_figures(findings(runs), tmp_path, ["pfd"])
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_figures(findings(runs), tmp_path / "file", ["png"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"figures are made with matplotlib: pip install 'rnnlab\[report\]'"):
        write_figures(findings(runs), tmp_path, ["png"])


@pytest.mark.long
@pytest.mark.parametrize("groups", [1, 20])
def test_long_names_and_many_groups_fit(groups: int, tmp_path: Path) -> None:
    """matplotlib warns, and here that is an error, where a label leaves a figure no room."""
    for at in range(groups):
        label = {"model__label": f"a name of some length, number {at}, and then some more"}
        fake_group(tmp_path / "runs", {0: -1.0, 1: -2.0, 2: -2.5}, timesteps=20 + at % 2, **label)
    written = write_figures(findings(tmp_path / "runs", "model.label", "task.length"), tmp_path, KINDS)
    assert len(written) >= 12
