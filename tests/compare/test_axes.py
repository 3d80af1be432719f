"""Axes: a part and the options that not every part has are one, named as in a config."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import fake_group

from rnnlab.compare.axes import Axis, axes_of
from rnnlab.compare.collection import load_runs
from rnnlab.compare.pairs import pairs
from rnnlab.report.export import as_latex, as_markdown
from rnnlab.report.findings import Findings

RATES = {0: -10.0, 1: -12.0, 2: -15.0}


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Three clips: one without a threshold, and two with."""
    for at, threshold in enumerate((None, 0.5, 2)):
        rates = {seed: rate + at * (1 + seed / 10) for seed, rate in RATES.items()}
        option = {"clip__threshold": threshold} if threshold else {}
        fake_group(tmp_path, rates, clip__name="norm" if threshold else "none", **option)
    return tmp_path


def test_a_part_stands_with_its_options(clips: Path) -> None:
    groups = load_runs(clips).group_by()
    assert groups.by == ("clip.name", "clip.threshold")
    assert [axis.value(group.values) for axis in groups.axes for group in groups] == ["none", "norm 0.5", "norm 2"]
    findings = Findings(groups)
    assert findings.titles()[:2] == ["clip", "runs"]
    assert {"clip", "clipped"} <= set(findings.titles())
    for text in (as_latex(findings), as_markdown(findings)):
        assert all(name in text for name in ("none", "norm 0.5", "norm 2"))
        assert "threshold" not in text
    asked = load_runs(clips).group_by("clip.threshold")
    assert [axis.key for axis in asked.axes] == ["clip"]


def test_pairs_are_of_whole_parts(clips: Path) -> None:
    found = pairs(load_runs(clips).group_by().measure())
    assert [(pair.key, pair.first, pair.second) for pair in found] == [
        ("clip", "none", "norm 0.5"),
        ("clip", "none", "norm 2"),
    ]


@pytest.mark.parametrize(("threshold", "keys"), [(0.5, ["clip.name", "clip.threshold"]), (1.0, ["clip.name"])])
def test_an_option_that_follows_is_shown_unless_it_is_the_default(
    threshold: float, keys: list[str], tmp_path: Path
) -> None:
    fake_group(tmp_path, RATES, clip__name="none")
    fake_group(tmp_path, RATES, clip__name="norm", clip__threshold=threshold)
    groups = load_runs(tmp_path).group_by("clip.name")
    assert list(groups.by) == keys
    assert len(groups) == 2


def test_an_option_that_every_part_has_is_an_axis_of_its_own() -> None:
    table = [{"task.name": name, "task.length": length} for name in ("copy", "addition") for length in (10, 20)]
    assert axes_of(("task.name", "task.length"), table) == (Axis(("task.name",)), Axis(("task.length",)))


def test_of_two_options_each_is_named() -> None:
    init = Axis(("model.init.recurrent.name", "model.init.recurrent.std", "model.init.recurrent.gain"))
    assert init.key == "model.init.recurrent"
    settings = {"model.init.recurrent.name": "normal", "model.init.recurrent.std": 0.1}
    assert init.value(settings) == "normal std 0.1"
