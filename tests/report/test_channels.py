"""Which setting is shown by panels, colours, dashes and the x axis, and what does not fit."""

from __future__ import annotations

import shlex
from pathlib import Path

import pandas as pd
import pytest
from commands import Call
from fakes import fake_group
from reports import findings

from rnnlab.errors import UsageError
from rnnlab.report.channels import MOST_LINES, Asked, Channels, channels
from rnnlab.report.figures import FigureOptions
from rnnlab.report.figures.panels import SIZES, arrange
from rnnlab.report.figures.plans import plans
from rnnlab.report.findings import Findings

INITS = ("orthogonal", "identity", "xavier")


def sweep(root: Path, lengths: tuple[int, ...] = (20, 30, 40, 50), seeds: int = 1) -> Path:
    """Cell x initializer x clip x length: 48 groups."""
    for cell in ("rnn", "lstm"):
        for at, init in enumerate(INITS):
            for clip in ("none", "norm"):
                for length in lengths:
                    rates = {seed: -1.0 - at - seed / 10 - (clip == "norm") for seed in range(seeds)}
                    settings = {"model__cell": cell, "model__init": init, "clip__name": clip}
                    fake_group(root, rates, timesteps=length, updates=(0, 10, 20), **settings)
    return root


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    return findings(sweep(tmp_path_factory.mktemp("channels")))


def keys(chosen: Channels) -> dict[str, object]:
    named = {name: [axis.key for axis in getattr(chosen, name)] for name in ("facet", "color", "style")}
    return named | {"x": chosen.x.key if chosen.x else None}


def test_axes_are_shown_by_how_many_values_they_have(found: Findings) -> None:
    chosen = channels(found, found.measured, Asked(), found.axes)
    assert keys(chosen)["color"] == ["model.init"]
    assert keys(chosen)["facet"] == ["task.length", "clip.name"]
    against = keys(channels(found, found.measured, Asked(), found.axes, with_x=True))
    assert against["x"] == "task.length"
    assert against["facet"] == ["clip.name"]


def test_the_users_choice_goes_first(found: Findings) -> None:
    asked = Asked(facet=["init"], color=["task.length"], style=["clip"], x="cell")
    assert keys(channels(found, found.measured, asked, found.axes, with_x=True)) == {
        "facet": ["model.init"], "color": ["task.length"], "style": ["clip.name"], "x": "model.cell"
    }  # fmt: skip
    # What is left has to be somewhere: without a panel of its own it is told apart by colour.
    only = keys(channels(found, found.measured, Asked(facet=["task.length"]), found.axes))
    assert set(only["color"]) | set(only["style"]) == {"model.init", "model.cell", "clip.name"}  # type: ignore[call-overload]
    with pytest.raises(
        UsageError, match=r"the groups do not differ in 'lenght'; did you mean 'length'\? \(choices: task"
    ):
        found.axis("lenght")


@pytest.mark.parametrize("width", SIZES)
def test_every_group_is_drawn_once_and_at_most_twelve_lines_a_panel(width: str, found: Findings) -> None:
    panels = arrange(found.measured, channels(found, found.measured, Asked(), found.axes), found.names, SIZES[width])
    assert len(panels.groups) == len({id(group) for group in panels.groups}) == 48
    assert panels.lines <= MOST_LINES
    assert not panels.omitted
    looks = [[(line.color, line.style) for line in panel.lines] for panel in panels.panels]
    assert all(len(set(of)) == len(of) for of in looks)
    assert len({(panel.row, panel.column) for panel in panels.panels}) == len(panels.panels)
    heat = arrange(found.measured, channels(found, found.measured, Asked(color=(), style=()), found.axes), found.names,
                   SIZES[width], maps=True)  # fmt: skip
    assert len(heat.panels) == 48
    assert heat.lines == 1


def test_figures_are_no_higher_than_a_page(found: Findings) -> None:
    for plan in plans(found, FigureOptions(title="All of it")):
        assert plan.width == SIZES["column"].width
        assert plan.height < 10


@pytest.mark.long
def test_what_does_not_fit_is_said_with_the_option_that_helps(rnn: Call, tmp_path: Path) -> None:
    for cell in ("rnn", "lstm"):
        for hidden in range(10, 24):
            fake_group(tmp_path / "runs", {0: -1.0 * hidden}, model__cell=cell, model__hidden=hidden, timesteps=8)
    words = ("report", "--figures", "f", "--format", "svg")
    done = rnn(*words, "--color", "model.cell,hidden")
    assert "gradient leaves out 16 of 28 lines a panel (--facet draws an axis in panels, --where chooses)" in done.err
    assert len(set(pd.read_csv("f/gradient.csv")["model.hidden"])) == 12
    done = rnn(*words, "--facet", "hidden")
    assert "gradient leaves out 2 of 14 panels (--width page has room for 24" in done.err
    assert "leaves out" not in rnn(*words, "--facet", "hidden", "--width", "page").err
    assert rnn(*words, "--facet", "hidden", "-q") == (0, "", "")


@pytest.mark.long
def test_the_command_beside_a_figure_draws_it_again(rnn: Call, tmp_path: Path) -> None:
    sweep(tmp_path / "runs", lengths=(8, 12))
    words = ("--title", "It's all", "--label", "model.init=initializer", "--facet", "clip", "--where", "seed=0")
    assert rnn("report", "--figures", "f", "--format", "svg", "-q", *words).code == 0
    before = {path.name: path.read_bytes() for path in Path("f").iterdir()}
    assert {"gradient.svg", "gradient.csv", "gradient.sh", "heatmaps.sh"} <= set(before)
    comment, command = (Path("f") / "gradient.sh").read_text().splitlines()
    assert comment.startswith("# gradient: facet clip.name; color ")
    for path in Path("f").iterdir():
        path.unlink()
    program, *again = shlex.split(command)
    assert program == "rnnlab"
    assert rnn(*again).code == 0
    assert {path.name: path.read_bytes() for path in Path("f").iterdir()} == before
    assert b"<!-- initializer" in before["gradient.svg"]
    assert b"<!-- It's all" in before["gradient.svg"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--color", "cel"], "the groups do not differ in 'cel'; did you mean 'cell'?"),
        (["--label", "model.cell"], "--label 'model.cell': write KEY=NAME"),
        (["--label", "hidden=H"], "the groups do not differ in 'hidden'"),
        (["--width", "colunm", "--figures", "f"], "--width colunm: there is no such width; did you mean 'column'?"),
    ],
)
def test_a_wrong_choice_is_answered(rnn: Call, tmp_path: Path, words: list[str], message: str) -> None:
    for cell in ("rnn", "lstm"):
        fake_group(tmp_path / "runs", {0: -1.0}, model__cell=cell)
    done = rnn("report", *words)
    assert done.code == 2
    assert done.err.startswith(f"rnnlab: {message}")


def test_the_table_has_the_labels(rnn: Call, tmp_path: Path) -> None:
    for cell in ("rnn", "lstm"):
        fake_group(tmp_path / "runs", {0: -1.0}, model__cell=cell)
    assert "architecture  runs" in rnn("report", "--label", "cell=architecture").out
