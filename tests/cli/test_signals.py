"""Ctrl-C and SIGTERM interrupt a training once, and what is written is kept."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from commands import Call, written
from fake_training import FakeTraining

from rnnlab.config import Config
from rnnlab.runs.run import Run

LONG = (
    "task: {name: addition, length: 10}\nmodel: {hidden: 3}\ntrain: {updates: 100000000, scan: general}\ndevice: cpu\n"
)


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_its_rows_and_says_where(number: signal.Signals, code: int, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(LONG + "name: long\n")
    command = [sys.executable, "-m", "rnnlab", "train", "-c", "c.yaml", "--set", "probe.schedule=1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, text=True) as running:
        metrics = tmp_path / "runs" / "long" / "metrics.csv"
        while running.poll() is None and not (metrics.exists() and metrics.stat().st_size > 1000):
            time.sleep(0.02)
        running.send_signal(number)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (code, "")
    assert re.search(r"interrupted; .*kept in runs/long", err)
    assert Run(tmp_path / "runs" / "long").status == "interrupted"
    assert len(Run(tmp_path / "runs" / "long").metrics) > 0


def test_only_the_first_of_several_interruptions_counts(rnn: Call, training: FakeTraining) -> None:
    def both(config: Config, **asked: Any) -> Run:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt as error:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            error.add_note("all is kept in runs/x")
            raise
        raise AssertionError("not interrupted")

    training.act = both
    result = rnn("train", "-c", written())
    assert (result.code, result.out, result.err) == (143, "", "interrupted; all is kept in runs/x\n")


def test_later_an_interruption_counts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from rnnlab.cli import signals

    now = [5.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    signals.install_handlers()
    for later in (0, 11):
        now[0] += later
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_the_caller_ignores_stays_ignored(number: signal.Signals) -> None:
    from rnnlab.cli.signals import install_handlers

    signal.signal(number, signal.SIG_IGN)
    install_handlers()
    signal.raise_signal(number)
