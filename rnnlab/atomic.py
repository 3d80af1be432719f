"""Write a file completely or not at all, also when the power fails."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rnnlab.errors import RunFailedError

_DRAFT = re.compile(r"\..+\.[0-9a-f]{8}")


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
        # Where this is refused too, the first error says more.
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


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


def is_draft(name: str) -> bool:
    """Whether a file of this name is what `atomic` writes before it replaces the file."""
    return _DRAFT.fullmatch(name) is not None
