"""Read a file only if it is a regular one, and not too large: no pipe that never ends, no device, no folder."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from collections.abc import Iterator

StrPath = str | os.PathLike[str]

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
# Non-blocking: opening a pipe that nobody writes to would wait for ever. It changes nothing for a regular file.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_PIECE = 1 << 20
_NEVER_TOO_LARGE = 1 << 26
"""Bytes that are read whatever the memory of the machine, which is then not asked for."""


class CannotReadError(OSError):
    """A file is not read: it is no regular file, or too large. Each reader makes its own error of it, by `strerror`.

    >>> try:
    ...     read_regular(os.devnull)
    ... except OSError as error:
    ...     print(error.strerror)
    it is a device, and not a regular file
    """


@contextlib.contextmanager
def open_regular(path: StrPath, most: int | None = None) -> Iterator[io.BufferedReader]:
    """A regular file, or a link to one, opened for reading in binary.

    Raises OSError, whose `strerror` says what is wrong: CannotReadError where it is something else, or larger than
    `most` bytes (without a number, than a quarter of the machine's memory).
    """
    descriptor = _opened(path)
    try:
        _check(descriptor, most)
    except OSError:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as file:
        yield file


def read_regular(path: StrPath, most: int | None = None) -> bytes:
    """The bytes of a regular file. Raises as `open_regular` does."""
    # By descriptor: thousands of small files are read in half the time.
    descriptor = _opened(path)
    try:
        # It may grow while it is read, or not know its size, as the files of /proc.
        size = _check(descriptor, most)
        pieces = [os.read(descriptor, size + 1)]
        read = len(pieces[0])
        while piece := os.read(descriptor, max(size + 1 - read, _PIECE)):
            pieces.append(piece)
            read += len(piece)
            _check_size(read, most)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
    finally:
        os.close(descriptor)


def most_in_memory() -> int:
    """The bytes of one file that are read at most: a quarter of the machine's memory."""
    import psutil

    return max(_NEVER_TOO_LARGE, int(psutil.virtual_memory().total) // 4)


def check_fits(size: int) -> None:
    """Raise CannotReadError for content of more bytes than are read into memory at most."""
    _check_size(size, None)


def _check_size(size: int, most: int | None) -> None:
    if most is not None and size > most:
        raise CannotReadError(errno.EFBIG, f"it has {size:,} bytes, and {most:,} are read at most")
    if most is None and size > _NEVER_TOO_LARGE and size > (limit := most_in_memory()):
        reason = f"it has {size:,} bytes, and {limit:,} are read at most: a quarter of this machine's memory"
        raise CannotReadError(errno.EFBIG, reason)


def _opened(path: StrPath) -> int:
    try:
        return os.open(path, _FLAGS)
    except ValueError as error:  # a null byte in the path, or a character that no path has
        raise CannotReadError(errno.EINVAL, str(error)) from error


def _check(descriptor: int, most: int | None) -> int:
    """The size of a regular file. Raises CannotReadError for anything else, and where it is too large."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        if stat.S_ISDIR(status.st_mode):
            raise CannotReadError(errno.EISDIR, os.strerror(errno.EISDIR))
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise CannotReadError(errno.EINVAL, f"it is {kind}, and not a regular file")
    _check_size(status.st_size, most)
    return status.st_size
