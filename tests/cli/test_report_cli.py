"""`rnnlab report`, `ls` and `show`: their output, and their messages about bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from commands import Call
from fakes import fake_group

from rnnlab.runs import cache, grids
from rnnlab.runs.folder import RunFolder


@pytest.fixture
def call(rnn: Call, tmp_path: Path) -> Call:
    """With three runs each of two cells in runs/."""
    fake_group(tmp_path / "runs", {0: -10, 1: -12, 2: -14}, model__cell="rnn")
    fake_group(tmp_path / "runs", {0: -1, 1: -2, 2: -3}, model__cell="lstm")
    return rnn


def test_a_report_goes_to_stdout_and_files_are_told_on_stderr(call: Call) -> None:
    result = call("report")
    assert (result.code, result.err) == (0, "")
    assert "6 runs in 2 groups by model.cell" in result.out
    assert call("report", "runs/", "-q") == (0, "", "")
    done = call("report", "runs", "--html", "page.html", "--csv", "t.csv", "--markdown", "t.md", "--latex", "t.tex")
    assert done.code == 0
    assert done.err == "wrote t.csv\nwrote t.md\nwrote t.tex\nwrote page.html\n"
    assert Path("page.html").stat().st_size > 4e6
    assert call("report", "runs", "--csv", "quiet.csv", "-q") == (0, "", "")
    assert Path("quiet.csv").stat().st_size
    drawn = call("report", "--figures", "figures", "--format", "svg")
    assert drawn.err.splitlines()[:2] == ["wrote figures/gradient.svg", "wrote figures/gradient.csv"]


def test_one_thing_goes_to_stdout(call: Call) -> None:
    result = call("report", "--csv", "-")
    assert result.out.startswith("model.cell,runs,completed,diverged")
    assert len(result.out.splitlines()) == 3
    assert call("report", "--markdown", "-").out.startswith("| cell   |   runs |")
    assert call("report", "--latex", "-").out.startswith("% \\usepackage{booktabs}")
    assert len(json.loads(call("report", "--json").out)["groups"]) == 2
    result = call("report", "--json", "--csv", "-")
    assert (result.code, result.err) == (2, "rnnlab: one thing at a time can go to stdout: give the others a file\n")


def test_runs_are_chosen_by_folder_name_pattern_and_condition(call: Call, tmp_path: Path) -> None:
    fake_group(tmp_path / "other", {0: -30}, model__cell="gru")

    def runs(*words: str) -> int:
        return sum(group["runs"] for group in json.loads(call("report", *words, "--json").out)["groups"])

    assert runs("runs/", "cell=lstm*") == 3
    assert runs("cell=lstm*", "cell=rnn-T40-s0") == 4
    assert runs("runs", "other") == 7
    assert runs("runs", "other", "--where", "seed=0") == 3
    assert runs("runs/cell=rnn-T40-s0", "runs/cell=rnn-T40-s1", "runs/cell=rnn-T40-s1/") == 2
    assert runs("other", "--by", "model.cell,task.length") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere/"], "nowhere/ is not a folder; runs are where `rnnlab train --out` put them (runs/)"),
        (["runs", "cell=lsm-T40-s0"], "runs has no run 'cell=lsm-T40-s0'; did you mean 'cell=lstm-T40-s0'?"),
        (["--by", "cell"], "no run has a setting 'cell'; did you mean 'model.cell'?"),
        (["--where", "cell=1"], "no run has a setting 'cell'; did you mean 'model.cell'?"),
        (["--where", "model.cell"], "'model.cell' is no condition; write KEY, then one of"),
        (["--where", "model.cell=gru"], "there is no run to report on: no run has model.cell = gru"),
        (["--success", "error"], "--success: 'error' is no stop rule"),
        (["--figures", "f", "--format", "pfd"], "--format pfd: there is no such format; did you mean 'pdf'?"),
        (["--html", "no/folder.html"], "no/folder.html cannot be written: there is no folder no"),
        (["--csv", "runs"], "runs cannot be written: Is a directory"),
    ],
)
def test_bad_input_is_answered_with_the_remedy(call: Call, words: list[str], message: str) -> None:
    done = call("report", *words)
    assert done.code == 2
    assert done.err.startswith(f"rnnlab: {message}")
    assert done.out == ""


def test_an_empty_folder_has_no_runs(rnn: Call, tmp_path: Path) -> None:
    assert rnn("report").err.startswith("rnnlab: runs is not a folder")
    (tmp_path / "runs" / "foreign").mkdir(parents=True)
    result = rnn("report")
    assert (result.code, "left out: foreign:" in result.err) == (2, True)
    listed = rnn("ls")
    assert (listed.code, listed.out) == (0, "")
    assert "no runs" in listed.err


def test_a_run_that_is_being_written_is_in_the_report(call: Call, tmp_path: Path) -> None:
    """Its process is this one, and its last line is half there."""
    run = RunFolder.create(tmp_path / "runs", "writing", {"identity": "w", "seed": 9})
    old = RunFolder(tmp_path / "runs" / "cell=rnn-T40-s0")
    run.config.write_text(old.config.read_text().replace("seed: 0", "seed: 9"))
    run.gradients.write_bytes(old.gradients.read_bytes()[:-7])
    run.metrics.write_bytes(old.metrics.read_bytes()[:-3])
    result = call("report", "--html", "page.html")
    assert result.code == 0
    assert "1 run running: read as far as it goes" in " ".join(result.out.split())
    assert "4 (1)" in result.out


def test_what_is_broken_is_left_out_and_named(call: Call, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    (runs / "cell=rnn-T40-s0" / "gradients.csv").write_text("update,layer\n0,0\n")
    (runs / "cell=rnn-T40-s1" / "run.json").write_text("{")
    (runs / "foreign").mkdir()
    (runs / "cell=lstm-T40-s0" / "metrics.csv").write_bytes(b"\xff\x00")
    result = call("report", "--html", "page.html", "--figures", "f")
    words = " ".join(result.out.split())
    assert result.code == 0
    for name in ("cell=rnn-T40-s0", "cell=rnn-T40-s1", "foreign"):
        assert f"left out: {name}:" in words
    assert "5 runs in 2 groups" in words


def test_ls_lists_runs_with_their_key_settings(call: Call) -> None:
    result = call("ls")
    head, *lines = result.out.splitlines()
    assert head.split() == ["run", "status", "verdict", "rate", "error", "cell", "seed"]
    assert len(lines) == 6
    assert lines[0].split()[:2] == ["cell=lstm-T40-s0", "completed"]
    assert lines[-1].split()[-2:] == ["rnn", "2"]
    rows = [json.loads(line) for line in call("ls", "--where", "model.cell=rnn", "--json").out.splitlines()]
    assert [row["settings"]["seed"] for row in rows] == [0, 1, 2]
    assert rows[0]["status"] == "completed"


def test_show_shows_one_run(call: Call) -> None:
    result = call("show", "cell=rnn-T40-s1")
    assert result.code == 0
    assert "log10 |dL/dh_t| of layer 0 at update 0" in result.out
    assert "model.cell" in result.out
    assert "rnnlab train --config runs/cell=rnn-T40-s1/config.yaml --name cell=rnn-T40-s1-again" in " ".join(
        result.out.split()
    )
    assert json.loads(call("show", "runs/cell=rnn-T40-s1", "--json").out)["settings"]["seed"] == 1
    assert call("show", "runs").err.startswith("rnnlab: runs is 6 runs, and this takes one; `rnnlab ls runs` lists")
    assert "did you mean 'cell=rnn-T40-s1'?" in call("show", "cel=rnn-T40-s1").err


@pytest.mark.parametrize(
    "words", [["report", "--html", "p.html", "--figures", "f"], ["ls"], ["show", "cell=rnn-T40-s0"]]
)
def test_torch_is_never_loaded(call: Call, words: list[str]) -> None:
    script = (
        "import sys; from rnnlab.cli import _code; code = _code(sys.argv[1:]);"
        "print(code, [name for name in ('torch', 'numba', 'ray') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "0 []"


def test_a_report_on_a_full_disk_leaves_no_half_page(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = call("report", "--html", "page.html", "-q")
    assert result.code == 2
    assert "page.html cannot be written: No space left on device" in result.err
    assert not list(Path().glob("*page.html*"))


def test_a_report_that_is_stopped_leaves_no_half_page(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda number: signal.raise_signal(signal.SIGTERM))
    Path("page.html").write_text("old")
    result = call("report", "runs", "--html", "page.html", "-q")
    assert (result.code, result.out, result.err) == (143, "", "interrupted\n")
    assert Path("page.html").read_text() == "old"
    assert not list(Path().glob(".page*"))


def test_the_gradients_of_a_run_are_read_once_for_a_page(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[str] = Counter()

    def counting(run: RunFolder) -> object:
        read[run.name] += 1
        return cache.cached_gradients(run)

    monkeypatch.setattr(grids, "cached_gradients", counting)
    assert call("report", "--html", "page.html", "--csv", "t.csv").code == 0
    assert len(read) == 6
    assert set(read.values()) == {1}
