"""Writing a file whole or not at all."""

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
    """A file to write that takes the place of `path` when the block ends well, and leaves it alone otherwise.

    Raises RunFailedError when the system refuses (a full disk, for one).
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
