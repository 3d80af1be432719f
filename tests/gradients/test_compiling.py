"""Loops are compiled once on a machine, whoever asks for them and however a process that compiles them ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rnnlab.cells import Rnn
from rnnlab.gradients import compiling
from rnnlab.gradients.compiling import _locked, _second_process, prepare_once

needs_locks = pytest.mark.skipif(sys.platform == "win32", reason="files have no such locks there")
HOLD = "import sys, time; from rnnlab.gradients.compiling import _locked\nfrom pathlib import Path\n"
HOLD += "with _locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
ASK = "import torch; from rnnlab.cells import Rnn; from rnnlab.gradients.compiling import prepare_once\n"
ASK += "print(prepare_once(Rnn(), torch.float32))"


def start(code: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.mark.slow
@needs_locks
def test_of_two_processes_at_once_one_compiles_and_the_other_waits_and_reads(tmp_path: Path) -> None:
    both = [start(ASK, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2)]
    answers = [process.communicate(timeout=500) for process in both]
    assert sorted(out.strip() for out, _ in answers) == ["False", "True"], answers
    names = [path.name for path in tmp_path.rglob("*.nbc")]
    # One file for each signature: the next one would be named after the second compilation.
    assert not [name for name in names if name.startswith("kernels._backward") and not name.endswith(".1.nbc")]
    assert sum(name.startswith("kernels._backward") for name in names) == 1


@needs_locks
def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    holder = start(HOLD, str(tmp_path / "a.lock"))
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    import fcntl

    with (tmp_path / "a.lock").open("w") as file, pytest.raises(BlockingIOError, match="unavailable"):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    entered = False
    with _locked(tmp_path / "a.lock"):
        entered = True
    assert entered


def test_without_a_place_for_the_lock_the_block_is_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    entered = False
    with _locked(tmp_path / "file" / "a.lock"):
        entered = True
    assert entered


def test_a_cell_that_another_process_cannot_have_is_compiled_here() -> None:
    class Mine(Rnn):
        pass

    with _second_process(Mine(), torch.float32) as process:
        assert process is None


def test_a_second_process_does_not_outlive_what_it_is_for() -> None:
    with _second_process(Rnn(), torch.float32) as process:
        assert process is not None
        assert process.poll() is None
    assert process.returncode == -signal.SIGKILL


def test_a_second_process_that_fails_leaves_the_work_to_this_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All loops run after it."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(compiling, "_done", lambda *_: tmp_path / "a.compiled")
    monkeypatch.setattr(compiling, "cores", lambda: 2)
    prepare_once(Rnn(), torch.float32)
    assert (tmp_path / "a.compiled").exists()


@pytest.mark.parametrize(("other", "dtype"), [(Rnn(), torch.float64), (Rnn(nonlinearity="relu"), torch.float32)])
def test_another_dtype_or_option_is_another_compilation(other: Rnn, dtype: torch.dtype) -> None:
    def done(cell: Rnn, dtype: torch.dtype) -> Path:
        rule = cell.rule()
        assert rule is not None
        return compiling._done(cell, rule, dtype)

    assert done(Rnn(), torch.float32) == done(Rnn(), torch.float32) != done(other, dtype)
