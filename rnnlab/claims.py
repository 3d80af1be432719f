"""Who is training what just now, so that no two processes ever train the same run.

A lease with a heartbeat, in a SQLite file that all who train in the folder share: each of them has one lease and says
every few seconds that it is alive. A claim is a key under a lease: a run's identity, so that sweeps share their work,
or its folder (`folder_key`), so that one process alone writes there, a sweep or `rnnlab train`. A lease without a beat
for `stale_after` seconds, or whose process is known to be gone, holds nothing any more. Beats are stamped by the host
that writes them: clocks that differ by more than a few seconds need a larger `stale_after`. The file system must have
locks (a few NFS mounts have none).

The file is the truth about claims: no run folder says them. It is no part of the store (store.py), which remembers what
the run folders say and can be made again from them. So a claims file that cannot be used is an error, never made anew.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any, Self

from rnnlab.errors import RunFailedError, RunFolderError
from rnnlab.provenance import is_gone, this_process
from rnnlab.rundir import bookkeeping

_TABLES = """
CREATE TABLE IF NOT EXISTS leases (owner TEXT PRIMARY KEY, process TEXT NOT NULL, beat REAL NOT NULL);
CREATE TABLE IF NOT EXISTS claims (identity TEXT PRIMARY KEY, owner TEXT NOT NULL);
"""
_WAIT = 30.0
_AT_ONCE = 500


@dataclass(frozen=True)
class Holder:
    """Who holds a claim: its process, and how long ago it said that it is alive, in seconds."""

    process: dict[str, Any]
    silent: float


def folder_key(name: str) -> str:
    """The key of a run's folder; an identity looks otherwise."""
    return f"folder {name}"


class Claims:
    """The runs that this process is about to train, or is training. Raises RunFolderError where the folder refuses."""

    def __init__(
        self,
        root: str | PathLike[str],
        *,
        every: float = 5.0,
        stale_after: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = bookkeeping(root) / "claims.sqlite"
        self._every, self._stale_after, self._clock = every, stale_after, clock
        self._owner = secrets.token_hex(16)
        self._mine: set[str] = set()
        self._lock, self._over = threading.RLock(), threading.Event()
        self._thread = threading.Thread(target=self._beat_until_over, name="rnnlab-claims", daemon=True)

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{self._path.parent} cannot be made: {error.strerror}") from error
        self.beat()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        with contextlib.suppress(RunFolderError, RunFailedError), self._file() as file:
            file.execute("DELETE FROM claims WHERE owner = ?", (self._owner,))
            file.execute("DELETE FROM leases WHERE owner = ?", (self._owner,))

    def take(self, identities: Iterable[str]) -> set[str]:
        """Of these, the ones that are mine now: free until now, mine before, or under a lease that holds no more."""
        wanted = list(dict.fromkeys(identities))
        with self._file() as file:
            self._beat(file)
            theirs = self._live_claims(file, wanted)
            mine = [identity for identity in wanted if identity not in theirs]
            file.executemany("INSERT OR REPLACE INTO claims VALUES (?, ?)", ((one, self._owner) for one in mine))
            self._mine |= set(mine)
        return set(mine)

    def release(self, identities: Iterable[str]) -> None:
        """Let go of these; what is not mine stays as it is."""
        given = list(identities)
        with self._file() as file:
            file.executemany(
                "DELETE FROM claims WHERE identity = ? AND owner = ?", ((one, self._owner) for one in given)
            )
            self._mine -= set(given)

    def holders(self, identities: Iterable[str]) -> dict[str, Holder]:
        """Those of these runs that somebody else holds, and who."""
        with self._file() as file:
            return self._live_claims(file, list(identities))

    def beat(self) -> None:
        """Say that this process is alive; where the file was taken away, claim again what nobody else has claimed."""
        with self._file() as file:
            self._beat(file)

    def _beat(self, file: sqlite3.Connection) -> None:
        file.execute(
            "INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", (self._owner, json.dumps(this_process()), self._clock())
        )
        file.executemany("INSERT OR IGNORE INTO claims VALUES (?, ?)", ((one, self._owner) for one in self._mine))

    def _beat_until_over(self) -> None:
        while not self._over.wait(self._every):
            # A full disk may have room again at the next beat.
            with contextlib.suppress(RunFolderError, RunFailedError):
                self.beat()

    def _live_claims(self, file: sqlite3.Connection, identities: list[str]) -> dict[str, Holder]:
        live = self._live(file)
        found: dict[str, Holder] = {}
        for start in range(0, len(identities), _AT_ONCE):
            some = identities[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            for identity, owner in file.execute(
                f"SELECT identity, owner FROM claims WHERE identity IN ({marks})", some
            ):
                if owner in live:
                    found[identity] = live[owner]
        return found

    def _live(self, file: sqlite3.Connection) -> dict[str, Holder]:
        """The leases of others that hold; the rest are swept out, and what they claimed is free."""
        found, now = {}, self._clock()
        for owner, process, beat in file.execute("SELECT owner, process, beat FROM leases").fetchall():
            holder = Holder(json.loads(process), now - beat)
            if holder.silent > self._stale_after or is_gone(holder.process):
                file.execute("DELETE FROM claims WHERE owner = ?", (owner,))
                file.execute("DELETE FROM leases WHERE owner = ?", (owner,))
            elif owner != self._owner:
                found[owner] = holder
        return found

    @contextlib.contextmanager
    def _file(self) -> Iterator[sqlite3.Connection]:
        """The file, alone in it from the first statement to the last."""
        with self._lock:
            try:
                with contextlib.closing(sqlite3.connect(self._path, _WAIT, isolation_level=None)) as file:
                    # Whoever dies holds nothing, so there is nothing to keep through a power cut: a claim takes 2 ms
                    # where waiting for the disk takes it 30.
                    file.execute("PRAGMA synchronous = OFF")
                    file.executescript(_TABLES)
                    file.execute("BEGIN IMMEDIATE")
                    yield file
                    file.execute("COMMIT")
            except sqlite3.Error as error:
                if "disk is full" in str(error):
                    raise RunFailedError(f"{self._path} cannot be written: the disk is full") from error
                cure = "give another folder with --out, or delete the file if nothing trains there"
                raise RunFolderError(f"{self._path} cannot be used: {error}; {cure}") from error
