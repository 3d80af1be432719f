"""`rnnlab ls` has a line a run in any width; `show`, `ls` and `report` wrap nothing in a pipe."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Call
from fakes import fake_group
from rich.console import Console

from rnnlab.compare.collection import load_runs
from rnnlab.report.terminal.listing import fitted, listing, plain_listing


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Twelve runs with long names that differ in cell, clip, learning rate and seed."""
    for cell in ("lstm", "rnn"):
        for clip, threshold in (("none", None), ("norm", 0.5)):
            option = {"clip__threshold": threshold} if threshold else {}
            settings = {"model__cell": cell, "clip__name": clip, "optimizer__name": "a-name-of-some-length"}
            fake_group(tmp_path / "runs", {0: -30, 1: -12, 2: -1}, **settings, **option)
    return tmp_path / "runs"


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_a_run_is_one_line_of_any_width(width: int, runs: Path) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(listing(load_runs(runs), width))
    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    hidden = [line for line in lines if line.startswith("they differ in")]
    assert len(lines) - len(hidden) == 13
    assert all(len(line) <= width for line in lines)
    assert all("completed" in line for line in lines[1:13])
    # Cut in the middle: what is left still says which run it is.
    assert len({line.split()[0] for line in lines[1:13]}) == 12
    assert bool(hidden) == (width < 140)


def test_settings_go_before_names_are_cut() -> None:
    titles = ["run", "status", "verdict", "rate", "error", "cell", "seed"]
    lines = [titles, ["a-long-name", "completed", "stable (median dead)", "-0.1", "0.5", "rnn", "0"]]
    assert fitted(lines, None) == (lines, 0)
    rows, hidden = fitted(lines, 58)
    assert rows[1] == ["a-long-name", "completed", "stable", "-0.1", "0.5", "rnn", "0"]
    assert hidden == 0
    rows, hidden = fitted(lines, 45)
    assert (rows[1][0], len(rows[1]), hidden) == ("a-long-name", 5, 2)


def test_a_part_stands_with_its_options(runs: Path) -> None:
    lines = list(plain_listing(load_runs(runs)))
    assert lines[0].split()[-2:] == ["clip", "seed"]
    assert {" ".join(line.split()[-3:-1]) for line in lines if "norm" in line} == {"norm 0.5"}


def test_a_pipe_gets_whole_lines(rnn: Call, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    report = rnn("report").out
    assert (
        "- success: each run's own train.stop, or error < 0.01 where it has none, on the validation split\n" in report
    )
    name = next(path.name for path in runs.iterdir() if "lstm" in path.name)
    shown = rnn("show", name).out
    assert "optimizer.name  a-name-of-some-length\n" in shown
    assert not any(line.endswith(" ") for line in shown.splitlines()[-8:])
    assert f"{name} " in rnn("ls").out


@pytest.mark.long
@pytest.mark.parametrize("command", [["list"], ["ls"], ["report"], ["show", "one"], ["train", "-c", "c.yaml"]])
def test_a_reader_that_goes_away_ends_every_command_alike(command: list[str], runs: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "{task: {name: addition, length: 10}, model: {cell: rnn, hidden: 3}, train: {updates: 2, evaluate_size: 4}}"
    )
    next(runs.iterdir()).rename(runs / "one")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "rnnlab", *command], cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, env=environment,
        check=False,
    )  # fmt: skip
    os.close(write)
    assert done.returncode == 141
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


def test_quiet_is_quiet(rnn: Call, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "{task: {name: addition, length: 10}, model: {cell: rnn, hidden: 3}, train: {updates: 2, evaluate_size: 4}}"
    )
    (tmp_path / "s.yaml").write_text("base: c.yaml\naxes: {grid: {model.hidden: [3, 4]}}\n")
    assert rnn("train", "-c", "c.yaml", "--name", "one", "-q") == (0, "", "")
    assert rnn("train", "-c", "c.yaml", "--name", "one", "--force", "-q") == (0, "", "")
    assert rnn("sweep", "-c", "s.yaml", "--engine", "inline", "-q") == (0, "", "")
    assert rnn("report", "--csv", "t.csv", "--html", "p.html", "--figures", "f", "-q") == (0, "", "")
    assert rnn("rerun", "one", "--check", "-q") == (0, "", "")


def test_a_pipe_gets_a_verdict_as_one_line(rnn: Call, runs: Path) -> None:
    name = next(path.name for path in runs.iterdir())
    shown = rnn("show", name).out.splitlines()
    verdicts = [line for line in shown if re.match(r"h, update \d+ ", line)]
    assert verdicts
    assert all(line.endswith(".") for line in verdicts)
    assert max(map(len, verdicts)) > 80
    assert not any(line.endswith(" ") for line in shown)
