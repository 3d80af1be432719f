"""The line of a plugin that an error went through: what its author needs to know of it."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable

from rnnlab.plugins.description import shown
from rnnlab.wording import shortened

_LONGEST = 500
_FILES = set[str]()
"""The files of plugins, and the folders of those that are packages."""


def note_files(paths: Iterable[str]) -> None:
    """Take the lines of these files, and of those in these folders, for a plugin's."""
    _FILES.update(paths)


def place_of(error: BaseException) -> str | None:
    """The last line of a plugin that an error went through, as file:line; None where it went through none."""
    if isinstance(error, SyntaxError) and error.filename and _is_noted(error.filename):
        return f"{shown(error.filename)}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_noted(frame.filename)]
    return f"{shown(frames[-1].filename)}:{frames[-1].lineno}" if frames else None


def text_of(error: BaseException) -> str:
    """The type of an error and its message, on one line."""
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return shortened(f"{type(error).__name__}: {' '.join(message.split())}".rstrip(": "), _LONGEST)


def _is_noted(filename: str) -> bool:
    return any(filename == path or filename.startswith(path + os.sep) for path in _FILES)
