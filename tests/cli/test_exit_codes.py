"""Every way that a command ends has its exit code and its message."""

from __future__ import annotations

import errno

import pytest
import torch
from commands import Call, written
from fake_training import FakeTraining

from rnnlab.errors import (
    DataMissingError,
    DeviceMissingError,
    RunExistsError,
    RunFailedError,
    RunFolderError,
    UsageError,
)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UsageError("not so"), 2, "rnnlab: not so"),
        (RunExistsError("there already"), 2, "rnnlab: there already"),
        (RunFolderError("cannot be written"), 2, "rnnlab: cannot be written"),
        (RunFailedError("disk full"), 3, "rnnlab: disk full"),
        (DataMissingError("no file"), 5, "rnnlab: no file"),
        (DeviceMissingError("no CUDA"), 5, "rnnlab: no CUDA"),
        (KeyError("x"), 1, "this is a bug in rnnlab; the same command with -v shows where"),
        (MemoryError(), 3, "rnnlab: there is not enough memory; make model.hidden"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp] . DefaultCPUAllocator: can't allocate memory: you tried to"),
            3,
            "rnnlab: there is not enough memory; make model.hidden",
        ),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to"), 3, "rnnlab: there is not enough memory; make model"),
        (RuntimeError("no such memory"), 1, "this is a bug in rnnlab"),
        (OSError(errno.ENOSPC, "No space left on device"), 3, "rnnlab: the output cannot be written: No space left"),
        (KeyboardInterrupt(), 130, "interrupted; nothing was written"),
    ],
)
def test_every_end_has_its_code(error: BaseException, code: int, words: str, rnn: Call, training: FakeTraining) -> None:
    training.end = error
    result = rnn("train", "-c", written())
    assert (result.code, result.out) == (code, "")
    assert words in result.err
    assert "Traceback" not in result.err


def test_with_v_a_bug_shows_where(rnn: Call, training: FakeTraining) -> None:
    training.end = ZeroDivisionError("by zero")
    result = rnn("train", "-c", written(), "-v")
    assert result.code == 1
    assert "Traceback" in result.err
    assert "this is a bug in rnnlab; please report it" in result.err


def test_an_interruption_says_what_is_kept(rnn: Call, training: FakeTraining) -> None:
    training.end = KeyboardInterrupt()
    training.end.add_note("rows are kept in runs/x")
    assert rnn("train", "-c", written()).err.endswith("interrupted; rows are kept in runs/x\n")
