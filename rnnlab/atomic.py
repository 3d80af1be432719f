"""Write a file completely or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rnnlab.errors import RunFailedError


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file, which replaces `path` when the block ends without an error; otherwise `path` stays as it is.

    Raises RunFailedError when the system refuses, for example because the disk is full.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise RunFailedError(f"{path} cannot be written: {error.strerror or error}; what was there is kept") from error
    finally:
        draft.unlink(missing_ok=True)
