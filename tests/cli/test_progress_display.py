"""Progress is shown on a terminal, in a file, or to nobody, and does not disturb the command."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import sys
from pathlib import Path

import pytest
from terminals import in_terminal, screen

from rnnlab.cli.progress import ProgressDisplay, TrainingView, progress_line
from rnnlab.progress import Progress


class Stream(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


class Unread(Stream):
    """A stream whose reader went away."""

    def __init__(self, terminal: bool, error: Exception) -> None:
        super().__init__(terminal)
        self.error, self.writes = error, 0

    def write(self, text: str) -> int:
        self.writes += 1
        raise self.error


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")


def view(done: int) -> TrainingView:
    return TrainingView(Progress(done, 100, (0.5,), 0.25, None, None, 1.0, 0.0, 10.0, 3.0))


def test_on_a_terminal_it_is_drawn_over_itself_and_messages_stand_above() -> None:
    stream, clock = Stream(terminal=True), Clock()
    with ProgressDisplay(stream, clock=clock) as display:
        for done in (1, 2):
            display.show(view(done))
            clock.now += 1
            assert screen(stream.getvalue())[-1].startswith(f"{done}/100  loss 0.5")
        display.message("a [red]word[/] :smile:")
        display.show(view(3))
        assert [line.split("  ")[0] for line in screen(stream.getvalue())] == ["a [red]word[/] :smile:", "3/100"]
    assert screen(stream.getvalue()) == ["a [red]word[/] :smile:"]
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")


def test_what_is_printed_meanwhile_stands_above() -> None:
    stream = Stream(terminal=True)
    before = sys.stdout, sys.stderr
    with contextlib.redirect_stdout(sys.stderr), ProgressDisplay(stream) as display:
        display.show(view(1))
        print("a warning", file=sys.stderr)
        print("a library's word")
        assert screen(stream.getvalue())[:2] == ["a warning", "a library's word"]
    assert (sys.stdout, sys.stderr) == before


def test_stdout_is_let_alone_where_it_is_not_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressDisplay(Stream(terminal=True)) as display:
        display.show(view(1))
        print("a result")
    assert capsys.readouterr().out == "a result\n"


def test_it_is_drawn_only_now_and_then() -> None:
    stream, clock = Stream(terminal=True), Clock()
    with ProgressDisplay(stream, clock=clock) as display:
        display.show(view(1))
        before = stream.getvalue()
        for _ in range(19):
            clock.now += 0.01
            display.show(view(2))
        assert stream.getvalue() == before
        clock.now += 0.02
        display.show(view(3))
        assert screen(stream.getvalue())[-1].startswith("3/100")


def test_elsewhere_a_line_is_written_now_and_then() -> None:
    stream, clock = Stream(terminal=False), Clock()
    with ProgressDisplay(stream, clock=clock) as display:
        for done in range(1, 101):
            clock.now += 0.3
            display.show(view(done), last=done == 100)
    assert [line.split("/")[0] for line in stream.getvalue().splitlines()] == ["34", "68", "100"]
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_is_quiet(terminal: bool) -> None:
    stream = Stream(terminal)
    with ProgressDisplay(stream, quiet=True) as display:
        display.show(view(100), last=True)
        display.message("a word")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(errno.ENOSPC, "full"), ValueError("closed file")])
def test_nobody_has_to_read_it(terminal: bool, error: Exception) -> None:
    stream = Unread(terminal, error)
    display = ProgressDisplay(stream)
    for _ in range(3):
        display.show(view(100), last=True)
        display.message("a word")
        display.close()
    assert stream.writes == 1


def test_the_reader_may_go_away_in_the_middle() -> None:
    stream = Stream(terminal=True)
    with ProgressDisplay(stream) as display:
        display.show(view(1), last=True)
        stream.close()
        for _ in range(3):
            display.show(view(2), last=True)
            display.message("a word")


def test_a_closed_stream_is_no_terminal() -> None:
    stream = Stream(terminal=True)
    stream.isatty = io.StringIO.isatty.__get__(stream)  # type: ignore[method-assign]
    stream.close()
    ProgressDisplay(stream).show(view(1), last=True)


@pytest.mark.parametrize("name", ["dumb", "unknown"])
def test_a_dumb_terminal_is_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", name)
    stream = Stream(terminal=True)
    with ProgressDisplay(stream) as display:
        display.show(view(100), last=True)
    assert stream.getvalue() == progress_line(view(100).progress, 120) + "\n"


def test_it_obeys_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Stream(terminal=True)
    with ProgressDisplay(stream) as display:
        display.show(view(1))
    assert not re.search(r"\x1b\[(3|4|9)\d", stream.getvalue())


# In a terminal.


CONFIG = "{task: {name: addition, length: 10}, model: {hidden: 3}, train: {updates: 60, batch: 2, scan: general}}"


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="terminals are POSIX's")
@pytest.mark.parametrize(("command", "columns"), [("train", 80), ("sweep", 140)])
def test_a_terminal_shows_it_and_the_result_goes_where_it_belongs(command: str, columns: int, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(CONFIG if command == "train" else f"base: {CONFIG}\nseeds: 2\n")
    more = ["--engine", "inline"] if command == "sweep" else []
    code, out, shown = in_terminal([command, "-c", "c.yaml", "--json", *more], tmp_path, columns)
    assert (code, out[:1], out[-2:]) == (0, "{", "}\n")
    assert re.search(r"\d+/60", shown)
    left = screen(shown, columns)
    assert not any(re.search(r"\d/60|runs done", line) for line in left)
    assert [line for line in left if "to train" in line] == left[:1] if command == "sweep" else left == []
