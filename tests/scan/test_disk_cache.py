"""Compiled loops have a place: Numba's own, else a temporary folder that only this user can write."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import rnnlab
from rnnlab.errors import UsageError
from rnnlab.scan.fast import disk_cache
from rnnlab.scan.fast.disk_cache import temporary_folder

posix = pytest.mark.skipif(not hasattr(os, "getuid"), reason="users and modes are those of POSIX")
PACKAGE = Path(rnnlab.__file__).parent
NOBODY = 65534
TRAINING = """
import ctypes, sys
# Root without its capabilities is bound by modes like everybody else.
header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert ctypes.CDLL(None).capset(header, none) == 0
import rnnlab
config = {"task": {"name": "addition", "length": 10}, "model": {"cell": "rnn", "hidden": 3},
           "train": {"updates": 1, "batch": 2, "evaluate_size": 2}, "device": "cpu"}
for name in ("first", "second"):
    print(rnnlab.train({**config, "name": name}, out=sys.argv[1], notify=lambda text: print("said:", text)).status)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that temporary folders are made in."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@posix
def test_the_folder_is_the_users_own_and_the_same_next_time(temporary: Path) -> None:
    folder = temporary_folder()
    assert folder == temporary / f"rnnlab-{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert temporary_folder() == folder


@posix
@pytest.mark.parametrize("how", ["link", "open", "file", "other"])
def test_a_folder_that_others_may_have_made_is_not_used(how: str, temporary: Path) -> None:
    theirs = temporary / f"rnnlab-{os.getuid()}"
    if how == "link":
        (temporary / "elsewhere").mkdir(mode=0o700)
        theirs.symlink_to(temporary / "elsewhere")
    elif how == "file":
        theirs.touch()
    else:
        theirs.mkdir()
        theirs.chmod(0o777 if how == "open" else 0o700)
        if how == "other":
            if os.getuid():
                pytest.skip("only root gives a folder to somebody else")
            os.chown(theirs, NOBODY, NOBODY)
    if how == "file":
        with pytest.raises(UsageError, match="set NUMBA_CACHE_DIR to a folder that can be written"):
            temporary_folder()
        return
    folder = temporary_folder()
    assert folder != theirs
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not list(theirs.resolve().iterdir())


def test_without_any_folder_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    with pytest.raises(UsageError, match=r"cannot be kept anywhere .*NUMBA_CACHE_DIR"):
        temporary_folder()


def test_with_a_place_of_its_own_nothing_is_said() -> None:
    disk_cache.settle_cache()
    assert disk_cache.take_message() == ""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_without_a_home_it_trains_and_says_where_it_compiles(tmp_path: Path) -> None:
    installed, home, temporary = tmp_path / "installed", tmp_path / "home", tmp_path / "tmp"
    shutil.copytree(PACKAGE, installed / "rnnlab", ignore=shutil.ignore_patterns("__pycache__"))
    home.mkdir()
    temporary.mkdir()
    locked = [home, *filter(Path.is_dir, installed.rglob("*"))]
    for folder in locked:
        folder.chmod(0o555)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA", "XDG"))}
    environment |= {"HOME": str(home), "TMPDIR": str(temporary), "PYTHONPATH": str(installed)}
    environment["NUMBA_OPT"] = "0"  # what is compiled need not be fast
    command = [sys.executable, "-B", "-c", TRAINING, str(tmp_path / "runs")]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    for folder in locked:
        folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if not line.startswith("said:")] == ["completed", "completed"]
    where = [line for line in lines if "compiled loops are kept in" in line]
    (folder,) = temporary.glob("rnnlab-*")
    assert len(where) == 1
    assert str(folder) in where[0]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.rglob("*.nbi"))
