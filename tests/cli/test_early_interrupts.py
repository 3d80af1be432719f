"""Ctrl-C at any import, and while a summary is made, ends as an interruption, and not as a bug."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Call, written
from fake_training import FakeTraining

from rnnlab.cli import signals, train

CUSTOMIZED = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            sys.meta_path.remove(self)
            try:
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(1000):
                    pass
            except KeyboardInterrupt:
                if os.environ["MAKES"] == "ImportError":
                    raise ImportError(f"{name} failed to import") from None
                raise

sys.meta_path.insert(0, Interrupting())
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize(
    ("module", "makes"),
    [
        ("rnnlab.cli", "KeyboardInterrupt"),
        ("typer", "KeyboardInterrupt"),
        ("rnnlab.cli.app", "KeyboardInterrupt"),
        ("pydantic", "ImportError"),
        ("torch", "KeyboardInterrupt"),
        ("torch", "ImportError"),
        ("rnnlab.report.terminal.summary", "KeyboardInterrupt"),
        ("rich.console", "ImportError"),
    ],
)
def test_it_ends_as_an_interruption(module: str, makes: str, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(CUSTOMIZED)
    (tmp_path / "c.yaml").write_text(
        "task: {name: addition, length: 10}\nmodel: {hidden: 3}\ndevice: cpu\n"
        "train: {updates: 1, scan: general, evaluate_size: 2}\n"
    )
    paths = [str(tmp_path / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "INTERRUPT_AT": module, "MAKES": makes}
    command = [sys.executable, "-m", "rnnlab", "train", "-c", "c.yaml"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.splitlines()[-1] == "interrupted"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("makes", [None, ImportError("numpy failed"), RuntimeError("out of nowhere")])
def test_a_summary_that_is_interrupted(
    number: signal.Signals,
    code: int,
    makes: Exception | None,
    rnn: Call,
    training: FakeTraining,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def summarize(run: object) -> None:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            if makes is not None:
                raise makes from None
            raise

    monkeypatch.setattr(train, "_show_summary", summarize)
    result = rnn("train", "-c", written())
    assert (result.code, result.out) == (code, "")
    assert result.err.splitlines()[-1] == "interrupted"
    assert "bug" not in result.err


def test_an_error_without_an_interruption_stays_what_it_is(
    rnn: Call, training: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(run: object) -> None:
        raise RuntimeError("out of nowhere")

    monkeypatch.setattr(train, "_show_summary", fail)
    result = rnn("train", "-c", written())
    assert result.code == 1
    assert "RuntimeError: out of nowhere" in result.err
    assert signals.interruption() is None
