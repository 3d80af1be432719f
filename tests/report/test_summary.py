"""What is shown fits the terminal, in the characters it has, and says what the run says."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from fakes import fake_run
from rich.console import Console

from rnnlab.clips import CLIPS
from rnnlab.report.terminal.summary import summary, supports_unicode
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run import Run


def rendered(run: Run, width: int, encoding: str = "utf-8", colour: bool = False) -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, width=width, force_terminal=colour, color_system="standard" if colour else None)
    console.print(summary(run, width, unicode=supports_unicode(encoding)))
    stream.flush()
    stream.seek(0)
    return stream.read()


@pytest.mark.parametrize("width", [40, 80, 109, 110, 140])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_the_summary_fits_and_is_encoded(width: int, encoding: str, tmp_path: Path) -> None:
    run = fake_run(tmp_path, config={"clip": {"name": "norm"}}, states=("h", "c"))
    run.info["reason"] = "naïve…"
    text = rendered(run, width, encoding)
    assert max(map(len, text.splitlines())) <= width
    assert text.isascii() == (encoding != "utf-8")
    flat = " ".join(text.split())
    assert "one: completed" in flat
    assert "-10 ± 0 decades" in flat.replace("+-", "±")
    if width >= 80:
        for sentence in (
            "h, update 0",
            "c, update 10",
            "0.0231",
            "0.177",
            "nan",
            "12.5% of updates",
            "run.json",
            "gradients.csv",
        ):
            assert sentence in flat


@pytest.mark.parametrize(
    ("clip", "expected"),
    [("norm", "12.5% of updates"), ("value", "12.5% of entries"), ("adjoint", "12.5% of entries"), ("none", None)],
)
def test_the_clip_rate_is_a_share_of_what_the_clip_counts(clip: str, expected: str | None, tmp_path: Path) -> None:
    text = rendered(fake_run(tmp_path, config={"model": {"cell": "rnn"}, "clip": {"name": clip}}), 80)
    assert ("clipped" in text) == (expected is not None)
    assert expected is None or expected in text


@pytest.mark.parametrize("clip", CLIPS)
def test_a_clip_rate_is_shown_of_every_clip_that_counts_something(clip: str, tmp_path: Path) -> None:
    text = rendered(fake_run(tmp_path, config={"model": {"cell": "rnn"}, "clip": {"name": clip}}), 80)
    assert ("clipped" in text) == (CLIPS[clip].counts is not None)


def test_a_clip_that_is_not_known_here_is_no_obstacle(tmp_path: Path) -> None:
    text = rendered(fake_run(tmp_path, config={"model": {"cell": "rnn"}, "clip": {"name": "softly"}}), 80)
    assert "clipped" not in text


def test_two_updates_stand_side_by_side_where_there_is_room(tmp_path: Path) -> None:
    run = fake_run(tmp_path)

    def heads(width: int) -> list[int]:
        return [line.count("log10 |dL/dh_t|") for line in rendered(run, width).splitlines() if "dL/dh_t" in line]

    assert heads(80) == [1, 1]
    assert heads(140) == [2]


def test_one_recorded_update_is_shown_once(tmp_path: Path) -> None:
    assert rendered(fake_run(tmp_path, updates=(0,)), 140).count("dL/dh_t") == 1


@pytest.mark.parametrize("kept", ["h", "c"])
def test_an_update_with_rows_of_one_state_only_is_shown_for_that_state(kept: str, tmp_path: Path) -> None:
    """As a full disk leaves it: the rows of the one state found room, those of the other none."""
    run = fake_run(tmp_path, states=("h", "c"))
    lines = run.dir.gradients.read_text().splitlines(keepends=True)
    lost = "c" if kept == "h" else "h"
    run.dir.gradients.write_text("".join(line for line in lines if not line.startswith(f"10,0,{lost},")))
    text = rendered(run, 80)
    assert all(f"{state}, update 0 " in text for state in "hc")
    assert f"{lost}, update 10 " not in text
    assert (f"{kept}, update 10 " in text) == (kept == "h")  # the updates that are shown are those of h


def test_a_run_that_failed_before_its_first_row_still_has_its_summary(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "one")
    run.finish("failed", "the disk was full")
    text = rendered(Run(run.path), 80)
    assert "one: failed, the disk was full" in text
    # A path that is longer than the line is broken.
    assert "gradients.csvwasnotwritten:thediskwasfull" in "".join(text.split())


def test_colour_is_for_terminals_and_not_under_no_color(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = fake_run(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[3" in rendered(run, 80, colour=True)
    assert "\x1b" not in rendered(run, 80)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in rendered(run, 80, colour=True)


def test_nothing_in_a_run_steers_the_terminal_or_is_read_as_markup(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    run.dir.update(reason="[red]\x1b[2Jgone")
    text = rendered(Run(run.path), 80)
    assert "[red]?[2Jgone" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(("encoding", "speaks"), [("utf-8", True), ("ascii", False), ("cp1252", False), (None, False)])
def test_what_an_encoding_can_show(encoding: str | None, speaks: bool) -> None:
    assert supports_unicode(encoding) == speaks
