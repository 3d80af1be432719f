"""What a run says about where it comes from is true, and asking never fails."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from rnnlab.provenance import git_state, is_gone, this_process, versions


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    git(tmp_path, "init", "--quiet")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    options = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *options, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_commit_and_whether_the_tree_differs_from_it(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git_state(repository) == {"commit": None, "dirty": False}
    (repository / "file").write_text("one")
    git(repository, "add", "file")
    git(repository, "commit", "--quiet", "-m", "one")
    commit = git(repository, "rev-parse", "HEAD")
    assert git_state(repository) == {"commit": commit, "dirty": False}
    (repository / "untracked").touch()
    assert git_state(repository) == {"commit": commit, "dirty": False}
    (repository / "file").write_text("two")
    (repository / "below").mkdir()
    monkeypatch.chdir(repository / "below")
    assert git_state() == {"commit": commit, "dirty": True}


def test_a_status_that_takes_too_long_still_gives_the_commit(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "one")
    run = subprocess.run

    def slow(command: list[str], **options: object) -> object:
        if "status" in command:
            raise subprocess.TimeoutExpired(command, 3)
        return run(command, **options)  # type: ignore[call-overload]

    commit = git(repository, "rev-parse", "HEAD")
    monkeypatch.setattr(subprocess, "run", slow)
    assert git_state(repository) == {"commit": commit, "dirty": None}


def test_no_repository_no_git_and_no_folder_give_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) is None
    assert git_state(tmp_path / "missing") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state() is None


def test_versions_name_the_packages_without_importing_them() -> None:
    result = versions()
    assert set(result) == {"python", "rnnlab", "torch", "numpy", "numba"}
    assert result["python"] == platform.python_version()
    code = "import sys, rnnlab.provenance as p; p.versions(); p.git_state(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_this_process_is_here_and_a_finished_one_is_gone() -> None:
    assert not is_gone(this_process())
    code = "import json, rnnlab.provenance as p; print(json.dumps(p.this_process()))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert is_gone(json.loads(done.stdout))


@pytest.mark.parametrize("process", [{}, {"pid": None}, {"pid": 0}, {"pid": -5}, {"pid": "7"}])
def test_a_process_that_nothing_is_known_of_is_not_gone(process: dict[str, object]) -> None:
    assert not is_gone({"host": socket.gethostname(), **process})


@pytest.mark.parametrize(
    ("start", "boot", "gone"),
    [
        (0, 0, False),
        (1, 1, False),
        (1, 0, False),
        (3600, 3600, False),
        (3600, 0, True),
        (-3600, 0, True),
        (3600, None, True),
        (5, 0, True),
    ],
    ids=lambda value: str(value),
)
def test_a_pid_that_is_used_again_is_another_process(start: float, boot: float | None, gone: bool) -> None:
    """The recorded start and boot moved by so many seconds; both together where the clock was set since."""
    mine = this_process()
    assert (
        is_gone({**mine, "start": mine["start"] + start, "boot": None if boot is None else mine["boot"] + boot}) == gone
    )


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="clock ticks are Unix's")
def test_a_start_as_older_versions_wrote_it_is_compared() -> None:
    mine = this_process()
    older = {"pid": mine["pid"], "host": mine["host"]}
    ticks = round((mine["start"] - mine["boot"]) * os.sysconf("SC_CLK_TCK"))
    assert not is_gone({**older, "start": str(ticks)})
    assert is_gone({**older, "start": str(ticks - 1000)})
    # What cannot be compared: the pid lives, and that is all that is known.
    assert not is_gone({**older, "start": None})
    assert not is_gone({**older, "start": "Tuesday"})


def test_where_the_system_does_not_say_the_start_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = this_process()

    def refuse(*_: object) -> float:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "create_time", refuse)
    assert not is_gone(mine)
    assert this_process() == {**mine, "start": None, "boot": None}
