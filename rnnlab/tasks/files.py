"""Read data files, with a clear error for one that is missing or malformed."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable
from functools import lru_cache, wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from rnnlab.errors import DataFormatError, DataMissingError
from rnnlab.regular import CannotReadError, check_fits, open_regular, read_regular

More = TypeVarTuple("More")
V = TypeVar("V")
Paths = tuple[Path, ...]

_PIECE = 1 << 22

CHECK_PATH = "check task.path"
INSTALL = "run pip install 'rnnlab[data]', or give your own files as task.path"


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal. Raises DataMissingError."""
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error


def in_wheel(package: str, inside: str) -> Path:
    """A file that comes with an installed package, found without importing it. Raises DataMissingError."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DataMissingError(f"the package {package}, whose data are wanted, is not installed; {INSTALL}")
    return Path(spec.submodule_search_locations[0], inside)


def read_bytes(path: Path, remedy: str = CHECK_PATH) -> bytes:
    """A file's bytes, unzipped where its name ends in .gz. Raises DataMissingError and DataFormatError."""
    try:
        raw = read_regular(path)
    except OSError as error:
        raise unreadable(path, error, remedy) from error
    try:
        return _unzipped(raw, path) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise DataFormatError(f"{path}: not a whole gzip file ({error})") from error


def _unzipped(raw: bytes, path: Path) -> bytes:
    """The content of a gzip file; no more of it is made than is read of a plain file."""
    pieces, size = list[bytes](), 0
    with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
        while piece := file.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            check_memory(size, f"{path}: unpacked")
    return b"".join(pieces)


def check_memory(size: int, subject: str) -> None:
    """Raise DataFormatError for data of more bytes than are read into memory at most."""
    try:
        check_fits(size)
    except CannotReadError as error:
        raise DataFormatError(f"{subject}, {error.strerror}") from error


def read_text(path: Path, remedy: str = CHECK_PATH) -> str:
    """A UTF-8 file's characters, line ends as they are. Raises DataMissingError and DataFormatError."""
    raw = read_bytes(path, remedy)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataFormatError(f"{path}:{line}: not UTF-8 text (byte {error.start}: {error.reason})") from error


def cached(load: Callable[[Paths, *More], V]) -> Callable[[Paths, *More], V]:
    """Decorate a loader: it reads its files once for all replicas of a fleet, and again after a change of one."""

    @lru_cache(maxsize=8)
    def load_cached(paths: Paths, stamps: tuple[tuple[int, int], ...], more: tuple[*More]) -> V:
        return load(paths, *more)

    @wraps(load)
    def loader(paths: Paths, *more: *More) -> V:
        return load_cached(paths, tuple(map(_stamp, paths)), more)

    return loader


def _stamp(path: Path) -> tuple[int, int]:
    """The time at which a file was written, and its size; zeros for a missing file, which the loader reports."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def unreadable(path: Path, error: OSError, remedy: str = CHECK_PATH) -> DataMissingError:
    """The error for a file that cannot be opened."""
    return DataMissingError(f"{path}: {error.strerror or error}; {remedy}")
