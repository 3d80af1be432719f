"""Where compiled loops are kept: where Numba keeps them, or in a temporary folder of the user's own.

Numba tries the folder of the code and one in the user's home. Where neither can be written (a container, a service
without a home) it refuses to decorate a function at all, so the place is settled before the first one.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import numba
from numba import njit

from rnnlab.errors import UsageError

_message: list[str] = []


def _nothing() -> None:
    """A function for Numba to find a place for."""


def settle_cache() -> None:
    """Make sure that Numba can keep what it compiles. Raises UsageError where no folder at all can be written."""
    if _has_place():
        return
    folder = temporary_folder()
    # Numba reads its settings again when the environment changes, and processes that this one starts read them too.
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    numba.config.CACHE_DIR = str(folder)
    if not _has_place():
        raise UsageError(_no_place(folder))
    _message.append(
        f"neither rnnlab's folder nor a cache folder in a home can be written: compiled loops are kept in {folder} "
        "(NUMBA_CACHE_DIR chooses another folder)"
    )


def take_message() -> str:
    """What the user should know of the place, once; empty afterwards, and where Numba's own place is used."""
    return _message.pop() if _message else ""


def temporary_folder() -> Path:
    """A folder for compiled code that nobody else can write: what is in there is run. Raises UsageError."""
    try:
        folder = Path(tempfile.gettempdir(), f"rnnlab-{_user()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder if _is_own(folder) else Path(tempfile.mkdtemp(prefix=f"{folder.name}-"))
    except OSError as error:
        raise UsageError(_no_place(error)) from error


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")


def _is_own(folder: Path) -> bool:
    """Whether it is a folder, not a link, of this user, that no other user can enter."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return False
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o077)


def _has_place() -> bool:
    try:
        njit(cache=True)(_nothing)
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
        return False
    return True


def _no_place(what: object) -> str:
    return f"compiled loops cannot be kept anywhere ({what}): set NUMBA_CACHE_DIR to a folder that can be written"
