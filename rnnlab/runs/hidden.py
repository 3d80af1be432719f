"""Which files under `.rnnlab/` can be used: none that a link leads to, for it may lead out of the folder of runs."""

from __future__ import annotations

import os
import sqlite3
import stat
from os import PathLike

from rnnlab.runs.folder import bookkeeping

# What SQLite writes beside a database.
_BESIDE = ("-journal", "-wal", "-shm")


def fault_of_file(root: str | PathLike[str], *parts: str) -> str | None:
    """Why this file of the bookkeeping of a folder cannot be used; None where it can, or is not there yet.

    Every folder on the way to it must be a folder itself, and it and what SQLite puts beside it regular files.
    """
    path = bookkeeping(root)
    folders = [path, *(path := path / part for part in parts[:-1])]
    for folder in folders:
        if (mode := _mode(folder)) is not None and not stat.S_ISDIR(mode):
            return f"{folder} is {'a link' if stat.S_ISLNK(mode) else 'no folder'}"
    file = folders[-1] / parts[-1]
    for beside in ("", *_BESIDE):
        if (mode := _mode(f"{file}{beside}")) is not None and not stat.S_ISREG(mode):
            return f"{file}{beside} is {'a link' if stat.S_ISLNK(mode) else 'no regular file'}"
    return None


def check_plain_tables(file: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError for a database with a view or a trigger: a query would run what it says."""
    if file.execute("SELECT 1 FROM sqlite_master WHERE type NOT IN ('table', 'index') LIMIT 1").fetchone():
        raise sqlite3.DatabaseError("it holds a view or a trigger")


def _mode(path: str | PathLike[str]) -> int | None:
    """The mode of a file, a link not followed; None where there is none."""
    try:
        return os.lstat(path).st_mode
    except OSError:
        return None
