"""A cache of values read from the runs of a folder, in a SQLite file beside them.

The files of the runs are the truth. A value is valid while the stamp of the file that it was read from is the same. The
cache can be deleted at any time: what is missing, broken or of another version is read again. Where no file can be
written, the values are in memory only.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from rnnlab.errors import RunFolderError
from rnnlab.runs.folder import bookkeeping
from rnnlab.runs.hidden import check_plain_tables, fault_of_file

_FILE = "store.sqlite"
_VERSION = 3
"""The version of the format; another format needs another number."""
# One table for each kind: reading one kind then reads its pages in order, and no others.
_TABLE = (
    "CREATE TABLE IF NOT EXISTS {}"
    " (name TEXT PRIMARY KEY, stamp TEXT NOT NULL, value TEXT NOT NULL, checksum INTEGER NOT NULL)"
)
_WAIT = 30.0
"""Seconds that another process may be writing."""

_encode = json.JSONEncoder(separators=(",", ":")).encode


def stamp_of(path: str | os.PathLike[str]) -> str | None:
    """The version of the format, and the size, inode and time of change of a file; None where there is no file.

    Take the stamp before reading: a file that changes meanwhile gets another stamp, and is read again.
    """
    try:
        status = os.stat(path)
    except OSError:
        return None
    return f"{_VERSION} {status.st_size} {status.st_ino} {status.st_mtime_ns}"


class Store:
    """JSON values of one kind (the name of a table), one for each run, by the run's name.

    `is_valid` says whether a value that the file holds is one of that kind; another one is read from the run again.

    >>> from rnnlab.runs.store import Store
    >>> with Store("runs", "length") as store:
    ...     unreadable = store.refresh({"lstm-T40-s0": "stamp"}, read=len)
    >>> dict(store.values)
    {'lstm-T40-s0': 11}
    """

    def __init__(
        self, root: str | os.PathLike[str], kind: str, is_valid: Callable[[Any], bool] = lambda value: True
    ) -> None:
        self._root, self._kind, self._is_valid = Path(root), kind, is_valid
        self._stamps: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._file: sqlite3.Connection | None = None
        self._closed = False
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the values stay in memory."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._closed = True

    @property
    def stamps(self) -> Mapping[str, str]:
        """The stamp that each run's file had when it was read."""
        return MappingProxyType(self._stamps)

    @property
    def values(self) -> Mapping[str, Any]:
        """The value of each run, as of the last refresh."""
        return MappingProxyType(self._values)

    def refresh(self, stamps: Mapping[str, str], read: Callable[[str], Any]) -> dict[str, str]:
        """Read the runs whose stamp has changed, and drop those that have none any more.

        Returns the runs for which `read` raised RunFolderError, each with its message; they have no value.
        """
        unreadable, changed = {}, []
        for name, stamp in stamps.items():
            if self._stamps.get(name) == stamp:
                continue
            try:
                self._values[name] = read(name)
                self._stamps[name] = stamp
                changed.append(name)
            except RunFolderError as error:
                unreadable[name] = str(error)
        gone = [name for name in self._stamps if name not in stamps or name in unreadable]
        for name in gone:
            del self._stamps[name], self._values[name]
        if changed or gone:
            self._write(changed, gone)
        return unreadable

    def _write(self, changed: list[str], gone: list[str]) -> None:
        self._open()
        if self._file is None:
            return
        kept = [(name, self._stamps[name], text) for name in changed if (text := _json(self._values[name])) is not None]
        try:
            rows = [(*row, _checksum(*row)) for row in kept]
            with self._file:
                self._file.executemany(f"INSERT OR REPLACE INTO {self._kind} VALUES (?, ?, ?, ?)", rows)
                self._file.executemany(f"DELETE FROM {self._kind} WHERE name = ?", [(name,) for name in gone])
        except (sqlite3.Error, ValueError):  # a full disk, a locked file, a name that is no text
            self.close()

    def _open(self) -> None:
        """Open the file if the folder exists; replace it if it is broken."""
        if self._file is not None or self._closed or not self._root.is_dir():
            return
        if fault_of_file(self._root, _FILE) is not None:
            self.close()
            return
        path = bookkeeping(self._root) / _FILE
        for _ in range(2):
            try:
                self._file = _connected(path, self._kind)
                self._load(self._file)
                return
            except (OSError, sqlite3.OperationalError):  # locked, or in a folder that cannot be written
                break
            except (sqlite3.DatabaseError, ValueError, TypeError, RecursionError):
                if self._file is not None:
                    self._file.close()
                    self._file = None
                with contextlib.suppress(OSError):
                    path.unlink()
        self.close()

    def _load(self, file: sqlite3.Connection) -> None:
        stored = file.execute(f"SELECT name, stamp, value, checksum FROM {self._kind}").fetchall()
        rows = [row for *row, _ in stored]
        # SQLite reads a flipped bit as another value.
        if [_checksum(*row) for row in rows] != [checksum for *_, checksum in stored]:
            raise ValueError("a row was changed")
        # All of them as one text: the parser then makes each key once, in half the time.
        values = json.loads(f"[{','.join(value for _, _, value in rows)}]")
        for (name, stamp, _), value in list(zip(rows, values, strict=True)):
            if name not in self._stamps and isinstance(stamp, str) and self._is_valid(value):
                self._stamps[name], self._values[name] = stamp, value


def _connected(path: Path, kind: str) -> sqlite3.Connection:
    """The file with the table of a kind. Raises OSError, or sqlite3.Error, for a file of another version too."""
    path.parent.mkdir(exist_ok=True)
    file = sqlite3.connect(path, timeout=_WAIT)
    try:
        (version,) = file.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError(f"version {version}")
        check_plain_tables(file)
        # After a power cut the cache is made again, so no commit has to wait for the disk.
        file.execute("PRAGMA synchronous = OFF")
        file.execute(_TABLE.format(kind))
        if version == 0:
            file.execute(f"PRAGMA user_version = {_VERSION}")
    except sqlite3.Error:
        file.close()
        raise
    return file


def _checksum(name: str, stamp: str, value: str) -> int:
    return zlib.crc32("\0".join((name, stamp, value)).encode())


def _json(value: Any) -> str | None:
    """The value as JSON; None where it cannot be kept."""
    try:
        return _encode(value)
    except (TypeError, ValueError):
        return None
