"""Stdout and stderr may be closed, full, without a reader, or unable to encode a character."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes import fake_run

from rnnlab.runs.run import Run

SHORT = "task: {name: addition, length: 10}\nmodel: {hidden: 3}\ntrain: {updates: 3, scan: general}\ndevice: cpu\n"


def process(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rnnlab", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, timeout=120, **more)


def test_as_a_module_it_goes_by_the_same_name(tmp_path: Path) -> None:
    done = process("--help", cwd=tmp_path)
    assert done.stdout.startswith("Usage: rnnlab [OPTIONS]")
    done = process("validate", "none.yaml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "1 file, 1 with problems\n")
    assert done.stdout.startswith("none.yaml: cannot be read")


def test_an_ascii_terminal_gets_escapes(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("task: addition\nnötes: 1\n", encoding="utf-8")
    done = process("validate", "c.yaml", cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 2
    assert "c.yaml:2:1: n\\xf6tes: there is no such key" in done.stdout


@pytest.mark.parametrize("arguments", ["list", "show runs/one", "report"])
def test_a_reader_that_goes_away_is_no_error(arguments: str, tmp_path: Path) -> None:
    fake_run(tmp_path / "runs", "one")
    command = [sys.executable, "-m", "rnnlab", *arguments.split()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(60) == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device here")
def test_a_full_disk_under_stdout_is_no_bug() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "rnnlab", "list"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "rnnlab: the output cannot be written: No space left on device\n")


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="file descriptors are POSIX's")
@pytest.mark.parametrize("how", ["2>&-", "2>&1 >out | true"])
def test_a_training_needs_no_reader_of_stderr(how: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(SHORT + "name: short\n")
    # The reader is gone before the first word is written.
    script = f"set -o pipefail; {{ sleep 1; {sys.executable} -m rnnlab train -c c.yaml; }} {how}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert "short: completed" in done.stdout + "".join(path.read_text() for path in tmp_path.glob("out"))
    assert Run(tmp_path / "runs" / "short").status == "completed"
