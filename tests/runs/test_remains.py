"""What killed processes leave behind is cleared, what living ones are writing is not, and a sick disk is named."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnlab.atomic import atomic, clear_drafts
from rnnlab.errors import RunFailedError, RunFolderError
from rnnlab.provenance import this_process
from rnnlab.runs import remains
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run_json import write_run_json

GONE = {**this_process(), "pid": 2**22 + 1}


def refusing(number: int) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def hidden(root: Path, name: str, process: dict[str, object] | None = None, *, aged: bool = False) -> Path:
    """A folder that a process was filling, or had moved aside."""
    path = root / name
    path.mkdir(parents=True)
    if process:
        write_run_json(path / "run.json", {"status": "running", "process": process})
    if aged:
        os.utime(path, (0, 0))
    return path


def test_folders_of_killed_processes_are_cleared(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "runs", "there")
    root = tmp_path / "other"
    dead = [
        hidden(root, ".a.new-0000000a", GONE),
        hidden(root, ".a.new-0000000b", aged=True),
        hidden(root, ".one.old-0000000c", GONE),
    ]
    alive = [
        hidden(root, ".a.new-0000000d", this_process()),
        hidden(root, ".a.new-0000000e"),
        hidden(root, ".b.old-0000000f", GONE),  # the only one of its name
        hidden(root, ".mine.new-", aged=True),
    ]
    RunFolder.create(root, "one")
    assert [path for path in dead if path.exists()] == []
    assert [path for path in alive if not path.exists()] == []


def test_the_folder_of_runs_itself_is_made_to_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(remains, "sync_folder", synced.append)
    RunFolder.create(tmp_path / "a" / "runs", "one")
    assert {tmp_path / "a", tmp_path} <= set(synced)


def test_a_new_run_whose_name_may_not_last_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RunFolder.create(tmp_path, "one").finish("completed")
    monkeypatch.setattr("rnnlab.atomic.sync_folder", refusing(errno.EIO))
    with pytest.raises(RunFolderError, match=r"one cannot be made: .*Input/output error"):
        RunFolder.create(tmp_path, "one", force=True)


def test_a_draft_that_cannot_be_deleted_is_no_error_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", refusing(errno.EROFS))
    monkeypatch.setattr(Path, "unlink", refusing(errno.EROFS))
    with pytest.raises(RunFailedError, match="Read-only file system; what was there is kept"), atomic(tmp_path / "a"):
        pass


def test_drafts_of_killed_processes_are_cleared(tmp_path: Path) -> None:
    names = {".a.html.0123abcd", ".a.html.0123abce", ".b.html.0123abcd", ".a.html.mine", ".a"}
    for name in names:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / ".a.html.0123abce").touch()  # written to a moment ago
    clear_drafts(tmp_path, "a.html")
    assert {path.name for path in tmp_path.iterdir()} == names - {".a.html.0123abcd"}
    clear_drafts(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == names - {".a.html.0123abcd", ".b.html.0123abcd"}
    clear_drafts(tmp_path / "nowhere")
