"""What every test runs under."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from commands import Call, Result
from samples import write_files

from rnnlab.cli import main
from rnnlab.interruptions import SIGNALS

# Tiny tensors gain nothing from a second thread, and on a busy machine two that wait for each other lose a lot.
# test_passes.py runs the scan on several threads on purpose.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("KERAS_BACKEND", "torch")

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("rnnlab", deadline=None)
hypothesis.settings.load_profile("rnnlab")

# A shell that starts the tests in its background lets them ignore Ctrl-C, and all that they start inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """The handlers of signals as they were: a command ignores Ctrl-C at its end, and here the process goes on."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def rnn(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """`rnnlab` with these arguments, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def call(*arguments: str) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit, match=r".*") as ended:
            main(arguments)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        assert isinstance(ended.value.code, int)
        return Result(ended.value.code, *capsys.readouterr())

    return call


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a small file for each task that reads one."""
    write_files(tmp_path)
    return tmp_path
