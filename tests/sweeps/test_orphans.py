"""Waiting for what a killed sweep left in training is said, with how many runs and for how long."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from rnnlab.provenance import this_process
from rnnlab.runs.claims import Claims
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.index import Index
from rnnlab.sweeps import orphans
from rnnlab.sweeps.orphans import wait_for_orphans

AWAY = {"pid": 7, "host": "another machine", "start": "1"}


def left(out: Path, name: str, process: dict[str, Any]) -> RunFolder:
    """A run of a sweep whose worker is, as run.json says, still training it."""
    folder = RunFolder.create(out, name, {"identity": name, "sweep": "mine"})
    folder.update(status="running", process=process)
    return folder


def waited(out: Path, said: list[str]) -> set[str]:
    with Index(out) as index, Claims(out) as claims:
        index.refresh()
        running = [entry for entry in index.entries() if entry.status == "running"]
        return wait_for_orphans(running, index, claims, said.append)


def test_workers_that_stop_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders, said = [left(tmp_path, name, this_process()) for name in ("a", "b", "c")], list[str]()

    def sleep(seconds: float) -> None:
        if seconds and folders:
            folders.pop().finish("interrupted", "its sweep is gone")

    monkeypatch.setattr("time.sleep", sleep)
    assert waited(tmp_path, said) == set()
    assert said[0] == "waiting 20s at most for 3 runs that a sweep which was killed is still training"
    assert re.fullmatch(r"waited \d+s for 3 runs: 3 of 3 have stopped", said[1])
    assert len(said) == 2


def test_those_that_go_on_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left(tmp_path, "here", this_process())
    left(tmp_path, "away", AWAY)
    said = list[str]()
    monkeypatch.setattr(orphans, "_TIMEOUT", 0.5)
    assert waited(tmp_path, said) == {"away"}
    assert re.fullmatch(r"waited \d+s for 2 runs: 0 of 2 have stopped", said[-1])


def test_without_orphans_nothing_is_said(tmp_path: Path) -> None:
    folder, said = left(tmp_path, "ended", this_process()), list[str]()
    folder.finish("completed", "all updates made")
    assert waited(tmp_path, said) == set()
    assert said == []
