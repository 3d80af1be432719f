"""Names of runs, of folders and of outputs that are empty, hold control characters, or are not UTF-8."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from commands import Call, Result, written
from fakes import fake_group

from rnnlab.config import load_config
from rnnlab.errors import ConfigError, UsageError
from rnnlab.runs.folder import RunFolder
from rnnlab.sweeps.results import SweepOptions

ESCAPES = "\x1b[31m\x1b]0;title\x07\u202e"


def is_plain(result: Result) -> bool:
    text = result.out + result.err
    return all(character.isprintable() or character in "\n\t" for character in text) and len(text) < 20_000


def test_a_terminal_obeys_nothing_of_a_name(rnn: Call) -> None:
    fake_group(Path("runs"), {0: -10.0, 1: -11.0, 2: -12.0})
    shutil.copytree(next(Path("runs").glob("*-s0")), f"runs/x{ESCAPES}")
    Path(f"runs/y{ESCAPES}").mkdir()
    for command in (
        ("ls",),
        ("show", f"runs/x{ESCAPES}"),
        ("report",),
        ("show", f"z{ESCAPES}"),
        ("train", "-c", ESCAPES),
    ):
        result = rnn(*command)
        assert result.code in (0, 2), result.err
        assert is_plain(result), result


@pytest.mark.parametrize("option", ["--html", "--csv", "--markdown", "--latex", "--figures"])
def test_an_empty_name_of_an_output_is_refused(option: str, rnn: Call) -> None:
    fake_group(Path("runs"), {0: -10.0, 1: -11.0, 2: -12.0})
    before = sorted(Path().iterdir())
    result = rnn("report", option, "")
    assert (result.code, result.err) == (2, f"rnnlab: {option} is empty; name the file or folder to write\n")
    assert sorted(Path().iterdir()) == before


def test_an_empty_folder_for_runs_is_refused(rnn: Call) -> None:
    sweep = written("base: {task: addition}\nseeds: 2\n", "s.yaml")
    written()
    before = sorted(Path().iterdir())
    for command in ("train", "-c", "c.yaml"), ("sweep", "-c", sweep), ("sweep", "-c", sweep, "--dry-run"):
        result = rnn(*command, "--out", "")
        assert (result.code, result.err) == (
            2, "rnnlab: --out is empty; name the folder for the runs, such as runs, or . for this one\n"
        )  # fmt: skip
    with pytest.raises(UsageError, match="--out is empty"):
        SweepOptions(out="")
    assert sorted(Path().iterdir()) == before


@pytest.fixture
def not_utf8(tmp_path: Path) -> str:
    """The name of a folder of runs that is not UTF-8, with a run whose name is none either."""
    try:
        root = os.fsdecode(b"r\xe9s")
        fake_group(tmp_path / root, {0: -10.0, 1: -11.0, 2: -12.0})
        first = next((tmp_path / root).glob("*-s0"))
        shutil.copytree(first, tmp_path / root / root)
        config = tmp_path / root / root / "config.yaml"
        config.write_text(config.read_text().replace("seed: 0", "seed: 7"))
        values = {"identity": "other", "command": ["\udce9"], "reason": "\ud800", "device": "\udce9"}
        RunFolder(tmp_path / root / root).update(**values)
    except (OSError, UnicodeError):
        pytest.skip("no such names on this file system")
    return root


@pytest.mark.parametrize(
    "more",
    [["ls"], ["ls", "--json"], ["report"], ["report", "--json"], ["report", "--by", "name", "--csv", "-"],
     ["report", "--csv", "t.csv", "--markdown", "t.md", "--latex", "t.tex", "--figures", "f", "--html", "p.html"]],
    ids=" ".join,
)  # fmt: skip
def test_names_that_are_not_utf8_are_shown_by_their_bytes(more: list[str], not_utf8: str, rnn: Call) -> None:
    for _ in range(2):  # the second time with what the first one kept
        result = rnn(*more, not_utf8)
        assert result.code == 0, result.err
        assert result.out.encode()
    if more == ["ls"]:
        assert "r\\udce9s" in result.out
    assert rnn("show", f"{not_utf8}/{not_utf8}").code == 0


@pytest.mark.parametrize("key", ["notes", "name", "task.path", "model.cell"])
def test_a_setting_that_is_not_utf8_is_refused(key: str, rnn: Call) -> None:
    broken = os.fsdecode(b"r\xe9s")
    result = rnn("train", "-c", written(), "--set", f"{key}={broken}")
    assert (result.code, result.err) == (2, f"--set {key}=r\\udce9s: {key}: is not UTF-8 text\n")
    assert rnn("ls", "--where", f"seed=[{broken}]").code == 2
    with pytest.raises(ConfigError, match=r"notes: is not text that UTF-8 can write"):
        load_config({"task": "addition", "notes": "\ud800"})
