"""What objects show in a notebook: well-formed, without a script, all escaped, and the curve that was recorded."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from fakes import fake_group, fake_run
from reports import NASTY

import rnnlab
from rnnlab.analysis.verdict import verdict_of
from rnnlab.display import InNotebook
from rnnlab.report.notebook import SHOWN, html_of
from rnnlab.report.notebook.fragments import MOST_ROWS
from rnnlab.report.notebook.svg import COLOURS, Line, strip_svg

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for cell, rate in (("rnn", -15.0), ("lstm", -2.0)):
        fake_group(tmp_path / "runs", {seed: rate + seed for seed in range(3)}, model__cell=cell)
    return tmp_path / "runs"


def shown(root: Path) -> list[InNotebook]:
    """One object of each class that shows itself."""
    runs = rnnlab.load_runs(root)
    groups = runs.group_by()
    return [runs[0].verdict(), runs[0], runs, groups, groups.measure(at=0)]


def tree(shows: InNotebook) -> ET.Element:
    return ET.fromstring(shows._repr_html_())


def text(shows: InNotebook) -> str:
    return " ".join(tree(shows).itertext())


def test_every_class_shows_a_curve_and_nothing_that_acts_or_is_fetched(root: Path) -> None:
    objects = shown(root)
    assert {type(one) for one in objects} == set(SHOWN)
    for one in objects:
        elements = list(tree(one).iter())
        assert {element.tag for element in elements} & {f"{SVG}svg"}
        assert not {element.tag.removeprefix(SVG) for element in elements} - {
            *("div", "b", "table", "thead", "tbody", "tr", "th", "td"),
            *("svg", "title", "path", "text"),
        }
        for element in elements:
            assert not [name for name in element.attrib if name.startswith("on") or name in ("href", "src")]
            assert not [value for value in element.attrib.values() if "url(" in value or "javascript:" in value]


def test_hostile_text_stands_there_as_it_is(tmp_path: Path) -> None:
    for cell in (NASTY, '"><img src=x onerror=alert(1)>'):
        for seed in (0, 1):
            config = {"model": {"cell": cell}, "seed": seed, "notes": NASTY}
            run = fake_run(tmp_path, f"{len(cell)}-{seed}", config)
            run.dir.finish("diverged", f"{NASTY} & 'more'", result={"eval_loss": 1.0})
    runs = rnnlab.load_runs(tmp_path)
    assert f"{NASTY} & 'more'" in text(rnnlab.Run(runs[0].path))
    assert NASTY in text(runs)
    assert NASTY in text(runs.group_by("model.cell"))


def test_the_curve_that_is_drawn_is_the_one_that_was_given() -> None:
    lag, y = np.arange(60), 3 * np.sin(np.arange(60) / 7) - 0.1 * np.arange(60)
    drawn = ET.fromstring(strip_svg([Line.of(lag[::-1], y[::-1])], "a curve"))
    texts = [(float(one.get("x", "")), float(one.get("y", "")), one.text or "") for one in drawn.iter(f"{SVG}text")]
    numbers = [one for one in texts if re.fullmatch(r"-?\d+", one[2])]
    left = min(x for x, _, _ in numbers)
    # The axes' own numbers say how pixels are read.
    decades = np.polyfit(*zip(*[(v - 4, float(t)) for x, v, t in numbers if x == left], strict=True), 1)
    lags = np.polyfit(*zip(*[(x, float(t)) for x, _, t in numbers if x != left], strict=True), 1)
    (path,) = [one.get("d", "") for one in drawn.iter(f"{SVG}path") if one.get("stroke") == COLOURS[0]]
    points = np.array([pair.split(",") for pair in re.split("[ML ]+", path) if pair], float)
    np.testing.assert_allclose(np.polyval(lags, points[:, 0]), lag, atol=0.02)
    np.testing.assert_allclose(np.polyval(decades, points[:, 1]), y, atol=0.02)


def test_points_that_are_no_numbers_are_gaps_with_a_letter() -> None:
    y = np.array([0.0, -1, -np.inf, -np.inf, -2, -3, np.nan, np.inf, -1])
    drawn = ET.fromstring(strip_svg([Line.of(range(9), y)], "a curve"))
    pieces = [one for one in drawn.iter(f"{SVG}path") if one.get("stroke") == COLOURS[0]]
    assert len(pieces) == 3
    texts = [one.text for one in drawn.iter(f"{SVG}text")]
    assert [texts.count(letter) for letter in "u!"] == [1, 1]
    assert "0 exactly zero from here on, u underflow from here on, ! not finite from here on" in texts


def test_a_curve_of_zeros_alone_is_drawn_without_a_line() -> None:
    shows = text(verdict_of(range(9), np.full(9, -np.inf)))
    assert "exactly zero at every timestep" in shows
    drawn = ET.fromstring(strip_svg([Line.of(range(9), np.full(9, -np.inf))], "zeros"))
    assert not [one for one in drawn.iter(f"{SVG}path") if one.get("stroke") in COLOURS]


def test_a_long_curve_keeps_its_extremes_in_few_points() -> None:
    y = np.zeros(100_000)
    y[70_001], y[12_345] = 5, -5
    line = Line.of(np.arange(100_000), y)
    assert len(line.lag) < 1000
    assert (line.log10_norm.max(), line.log10_norm.min()) == (5, -5)


@pytest.mark.parametrize("many", [MOST_ROWS, MOST_ROWS + 12])
def test_long_tables_are_cut_and_say_so(tmp_path: Path, many: int) -> None:
    for hidden in range(many):
        fake_group(tmp_path, {0: -5.0}, model__hidden=hidden + 1)
    runs = rnnlab.load_runs(tmp_path)
    for shows, noun in ((runs, "run"), (runs.group_by("model.hidden"), "group")):
        rows = next(iter(tree(shows).iter("tbody")))
        assert len(rows) == MOST_ROWS
        assert (f"and 12 more {noun}s" in text(shows)) == (many > MOST_ROWS)


def test_what_cannot_be_read_is_said(root: Path) -> None:
    broken = rnnlab.load_runs(root)[0]
    broken.dir.gradients.unlink()
    (root / "rubbish").mkdir()
    (root / "rubbish" / "run.json").write_text("{")
    runs = rnnlab.load_runs(root)
    assert "gradients.csv" in text(runs[0])
    assert "left out: rubbish" in text(runs)
    assert f"left out: {broken.name}" in text(runs.group_by())
    assert "no runs" in text(runs.where("seed = 7"))


def test_both_themes_can_read_the_lines() -> None:
    def luminance(colour: str) -> float:
        linear = [
            ((c + 0.055) / 1.055) ** 2.4 if c > 0.04045 else c / 12.92
            for c in np.frombuffer(bytes.fromhex(colour[1:]), np.uint8) / 255
        ]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    # WCAG 2.1, 1.4.11: three to one for what is needed to understand a graphic.
    for colour in COLOURS:
        for background in ("#ffffff", "#111111"):
            low, high = sorted((luminance(colour), luminance(background)))
            assert (high + 0.05) / (low + 0.05) >= 3


def test_other_things_are_refused() -> None:
    with pytest.raises(TypeError, match="int is not shown in a notebook"):
        html_of(1)
