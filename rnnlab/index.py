"""The runs of a folder, found by what they are: an index that is rebuilt from the folders whenever they say otherwise.

The folders are the truth. A row of the index is good for as long as its run.json has the size, inode and time of change
that it was read at, so that looking at ten thousand runs reads only what is new. A file that is missing, of another
version or broken is made again; where none can be written, the index lives in memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

from rnnlab.errors import ConfigError, RunFolderError
from rnnlab.rundir import RunDir, bookkeeping, status_of

_VERSION = 2
_AT_REST = ("completed", "diverged")
_TABLE = "CREATE TABLE IF NOT EXISTS runs (name TEXT PRIMARY KEY, stamp TEXT NOT NULL, kept TEXT NOT NULL)"
_RESULT = ("loss", "error", "eval_loss", "eval_error", "test_loss", "test_error")


@dataclass(frozen=True)
class Entry:
    """A run as its run.json has it; `identity` is None where its config cannot be read."""

    name: str
    identity: str | None
    sweep: str | None
    """The name of the sweep that it was trained by; None where `rnnlab train` did."""
    status: str
    reason: str
    started: str
    updates: int | None
    updates_per_second: float | None
    verdict: str | None
    result: Mapping[str, Any]


class Index:
    """The index of one folder; `refresh` first. `left_out` says which folders could not be read, and why."""

    def __init__(self, root: str | PathLike[str]) -> None:
        self.root = Path(root)
        self.left_out: dict[str, str] = {}
        self._rows: dict[str, tuple[str, dict[str, Any]]] = {}
        self._file: sqlite3.Connection | None = None
        self._given_up = False
        self._open()

    def _open(self) -> None:
        """Open the file where there is a folder to have it in, and read it."""
        if self._file is not None or self._given_up or not self.root.is_dir():
            return
        if (file := _opened(bookkeeping(self.root) / "index.sqlite")) is None:
            self._given_up = True
            return
        self._file = file
        with self._forgiving():
            for name, stamp, kept in file.execute("SELECT name, stamp, kept FROM runs"):
                self._rows.setdefault(name, (stamp, json.loads(kept)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._given_up = True

    def refresh(self, *, ended: bool = True) -> None:
        """Read the runs that are new or have changed, and forget those that are gone.

        Without `ended`, runs that had come to their end are not looked at again as long as they are there.
        """
        known = {} if ended else {name: row[0] for name, row in self._rows.items() if row[1]["status"] in _AT_REST}
        stamps = dict(_stamps(self.root, known))
        self.left_out, changed = {}, []
        for name, stamp in stamps.items():
            if self._rows.get(name, ("", {}))[0] == stamp:
                continue
            try:
                self._rows[name] = stamp, _kept(RunDir(self.root / name))
                changed.append(name)
            except RunFolderError as error:
                self._rows.pop(name, None)
                self.left_out[name] = str(error)
        gone = [name for name in self._rows if name not in stamps]
        for name in gone:
            del self._rows[name]
        self._write(changed, gone)

    def entries(self) -> list[Entry]:
        """All runs, by name; a run whose process is gone is not running."""
        return [_entry(name, kept) for name, (_, kept) in sorted(self._rows.items())]

    def names(self) -> set[str]:
        """The names of all runs."""
        return set(self._rows)

    def by_identity(self, identities: Iterable[str]) -> dict[str, list[Entry]]:
        """The runs of these identities; one that was trained more than once is there as often."""
        wanted = set(identities)
        found: dict[str, list[Entry]] = {}
        for name, (_, kept) in sorted(self._rows.items()):
            if kept["identity"] in wanted:
                found.setdefault(kept["identity"], []).append(_entry(name, kept))
        return found

    def _write(self, changed: list[str], gone: list[str]) -> None:
        self._open()
        if self._file is None or not (changed or gone):
            return
        with self._forgiving(), self._file:
            rows = ((name, stamp, json.dumps(kept)) for name in changed for stamp, kept in [self._rows[name]])
            self._file.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", rows)
            self._file.executemany("DELETE FROM runs WHERE name = ?", ((name,) for name in gone))

    @contextlib.contextmanager
    def _forgiving(self) -> Iterator[None]:
        """What cannot be kept (a full disk, a locked file) is known in memory all the same."""
        try:
            yield
        except (sqlite3.Error, ValueError):
            self.close()


def _opened(path: Path) -> sqlite3.Connection | None:
    """The file with its table, made anew where it is none of ours; None where there can be none."""
    for _ in range(2):
        try:
            path.parent.mkdir(exist_ok=True)
            file = sqlite3.connect(path, timeout=30)
        except (OSError, sqlite3.Error):
            return None
        try:
            (version,) = file.execute("PRAGMA user_version").fetchone()
            if version in (0, _VERSION):
                # What a power cut spoils is made again; waiting for the disk at every commit is for the runs.
                file.execute("PRAGMA synchronous = OFF")
                file.execute(_TABLE)
                file.execute(f"PRAGMA user_version = {_VERSION}")
                return file
        except sqlite3.OperationalError:  # locked, or of an archive that cannot be written
            file.close()
            return None
        except sqlite3.DatabaseError:
            pass
        file.close()
        with contextlib.suppress(OSError):
            path.unlink()
    return None


def _stamps(root: Path, known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each run's name, and what changes when its run.json is written; that of the known ones is as it was."""
    with contextlib.suppress(FileNotFoundError), os.scandir(root) as folders:
        for folder in folders:
            if folder.name.startswith("."):
                continue
            if folder.name in known:
                yield folder.name, known[folder.name]
                continue
            with contextlib.suppress(OSError):
                about = os.stat(RunDir(folder.path).run)
                yield folder.name, f"{about.st_mtime_ns}-{about.st_size}-{about.st_ino}"


def _kept(run: RunDir) -> dict[str, Any]:
    """What the index remembers of a run."""
    info = run.read_run()
    names = ("sweep", "status", "reason", "process", "started", "updates", "updates_per_second")
    result, verdict = info.get("result") or {}, info.get("verdict") or {}
    kept = {name: info.get(name) for name in names} | {"identity": info.get("identity") or _identity(run)}
    return kept | {"verdict": verdict.get("word"), "result": {name: result.get(name) for name in _RESULT}}


def _identity(run: RunDir) -> str | None:
    """That of a run whose run.json does not say it, from its config."""
    from rnnlab.config import load_config

    try:
        return load_config(run.config).identity()
    except ConfigError:
        return None


def _entry(name: str, kept: Mapping[str, Any]) -> Entry:
    return Entry(
        name,
        kept["identity"],
        kept["sweep"],
        status_of(kept),
        str(kept["reason"] or ""),
        str(kept["started"] or ""),
        kept["updates"],
        kept["updates_per_second"],
        kept["verdict"],
        kept["result"],
    )
