"""Write a file, or put a folder in its place, completely or not at all, also when the power fails."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rnnlab.errors import RunFailedError

_DRAFT = re.compile(r"\..+\.[0-9a-f]{8}")
_ABANDONED = 60.0
"""Seconds without a write after which a draft is nobody's."""


@contextlib.contextmanager
def atomic(path: Path, *, keep: Path | None = None) -> Iterator[IO[bytes]]:
    """Open a new file, which replaces `path` when the block ends without an error; otherwise `path` stays as it is.

    keep: the name that the old file gets; without it the old file is gone.

    Raises RunFailedError when the system refuses, for example because the disk is full.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            path.replace(keep)
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise RunFailedError(f"{path} cannot be written: {error.strerror or error}; what was there is kept") from error
    finally:
        # On a file system that has become read-only it stays; the error that is on its way says so.
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def put_in_place(fresh: Path, path: Path, old: Path | None) -> None:
    """Rename a folder to `path`; the one that is there is `old` meanwhile, comes back if that fails, and is gone after.

    old: None where none is to be replaced: the system renames no folder onto one that is not empty. Raises OSError.
    """
    if old:
        path.rename(old)
    try:
        fresh.rename(path)
    except OSError:
        if old:
            old.rename(path)
        raise
    sync_folder(path.parent)
    if old:
        shutil.rmtree(old, ignore_errors=True)


def sync_folder(path: Path) -> None:
    """Make the names in a folder last: after a power cut a file that was made or renamed may have its old name.

    Raises OSError. On Windows, where a folder cannot be opened, nothing is done.
    """
    if os.name == "nt":
        return
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    except OSError as error:
        # Some network file systems have no fsync of folders.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(number)


def clear_drafts(folder: Path, of: str = "") -> None:
    """Delete what killed processes left half-written in a folder: the drafts of the file `of`, or of all files.

    One that was written to within a minute may be a living process's, and stays. Raises nothing.
    """
    with contextlib.suppress(OSError):
        drafts = [path for path in folder.glob(f".{glob.escape(of) or '*'}.*") if is_draft(path.name)]
        for path in drafts:
            if path.is_file() and time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink(missing_ok=True)


def is_draft(name: str) -> bool:
    """Whether a file of this name is what `atomic` writes before it replaces the file."""
    return _DRAFT.fullmatch(name) is not None
