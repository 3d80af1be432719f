"""Laws of the index: it says what the folders say, whatever became of its file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rnnlab.config import load_config
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.index import Index


def made(root: Path, name: str, status: str = "completed", **info: Any) -> RunFolder:
    run = RunFolder.create(root, name, {"identity": f"id-{name}", **info})
    run.finish(status, "why", updates=3, result={"loss": 0.5}, verdict={"word": "stable"})
    return run


def names(root: Path) -> dict[str, str]:
    with Index(root) as index:
        index.refresh()
        return {entry.name: entry.status for entry in index.entries()}


def test_an_entry_says_what_run_json_says(tmp_path: Path) -> None:
    made(tmp_path, "one", "diverged")
    with Index(tmp_path) as index:
        index.refresh()
        (entry,) = index.entries()
        assert index.by_identity(["id-one", "other"]) == {"id-one": [entry]}
    assert (entry.name, entry.identity, entry.status, entry.reason) == ("one", "id-one", "diverged", "why")
    assert (entry.updates, entry.verdict, entry.result["loss"]) == (3, "stable", 0.5)


def test_changes_are_seen_and_the_gone_are_forgotten(tmp_path: Path) -> None:
    one, two = made(tmp_path, "one"), made(tmp_path, "two")
    with Index(tmp_path) as index:
        index.refresh()
        two.finish("failed")
        shutil.rmtree(one.path)
        made(tmp_path, "three")
        index.refresh()
        assert {entry.name: entry.status for entry in index.entries()} == {"two": "failed", "three": "completed"}
    assert names(tmp_path) == {"two": "failed", "three": "completed"}


def test_what_has_not_changed_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, "one")
    before = names(tmp_path)
    monkeypatch.setattr(RunFolder, "read_run", lambda run: pytest.fail("read again"))
    assert names(tmp_path) == before


def test_a_file_that_is_lost_is_made_again(tmp_path: Path) -> None:
    made(tmp_path, "one")
    before = names(tmp_path)
    (tmp_path / ".rnnlab" / "store.sqlite").unlink()
    assert names(tmp_path) == before
    assert names(tmp_path) == before


def test_a_run_that_cannot_be_read_any_more_is_no_entry(tmp_path: Path) -> None:
    run = made(tmp_path, "one")
    names(tmp_path)
    run.run.write_text("{")
    assert names(tmp_path) == names(tmp_path) == {}


def test_without_its_end_a_run_is_looked_at_again(tmp_path: Path) -> None:
    ended, running = made(tmp_path, "one"), RunFolder.create(tmp_path, "two")
    with Index(tmp_path) as index:
        index.refresh()
        ended.finish("failed")
        running.finish("diverged")
        index.refresh(ended=False)
        assert {entry.name: entry.status for entry in index.entries()} == {"one": "completed", "two": "diverged"}
        index.refresh()
        assert {entry.name: entry.status for entry in index.entries()} == {"one": "failed", "two": "diverged"}


def test_a_run_whose_process_is_gone_is_interrupted(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "one", {"identity": "a"})
    assert names(tmp_path) == {"one": "running"}
    run.update(process={**run.read_run()["process"], "pid": 2**22 + 1})
    assert names(tmp_path) == {"one": "interrupted"}


def test_an_older_run_is_known_by_its_config(tmp_path: Path) -> None:
    config = load_config({"task": "addition"})
    run = RunFolder.create(tmp_path, "one")
    run.config.write_text(config.to_yaml())
    broken = RunFolder.create(tmp_path, "two")
    broken.config.write_text("task: nothing")
    with Index(tmp_path) as index:
        index.refresh()
        assert [entry.identity for entry in index.entries()] == [config.identity(), None]


def test_what_is_no_run_is_left_out_and_named(tmp_path: Path) -> None:
    run = made(tmp_path, "one")
    run.run.write_text("{")
    (tmp_path / "foreign").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "run.json").write_text(json.dumps({}))
    with Index(tmp_path) as index:
        index.refresh()
        assert index.entries() == []
        assert list(index.left_out) == ["one"]
    assert names(tmp_path / "nowhere") == {}
