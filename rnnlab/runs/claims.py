"""Which process is training which run, so that no two processes ever train the same one.

Leases with heartbeats, in a SQLite file that all processes that train in the folder share: each has one lease and
renews it every few seconds. A claim is a key under a lease: a run's identity, so that sweeps share their work,
or its folder (`folder_key`), so that only one process writes there, a sweep or `rnnlab train`. A lease without a beat
for `stale_after` seconds, or whose process is known to have ended, is not valid any more. Beats are stamped by the host
that writes them: clocks that differ by more than a few seconds need a larger `stale_after`. The file system must have
locks (a few NFS mounts have none).

The file is the only record of the claims. It is not a part of the store (`store`), which can be made again from the run
folders. So a claims file that cannot be used is an error, and is never replaced.
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
from rnnlab.runs.folder import bookkeeping
from rnnlab.runs.hidden import check_plain_tables, fault_of_file
from rnnlab.runs.run_keys import fault_of

_TABLES = """
CREATE TABLE IF NOT EXISTS leases (owner TEXT PRIMARY KEY, process TEXT NOT NULL, beat REAL NOT NULL);
CREATE TABLE IF NOT EXISTS claims (identity TEXT PRIMARY KEY, owner TEXT NOT NULL);
"""
_WAIT = 30.0
"""Seconds that another process may be writing."""
_REMEDY = "give another folder with --out, or delete it if nothing trains there"
_MOST_VARIABLES = 500
"""In one statement; SQLite takes 999 at least."""


@dataclass(frozen=True)
class Holder:
    """The holder of a claim: its process, and the seconds since its last beat.

    >>> import os
    >>> from rnnlab.runs.claims import Claims
    >>> with Claims("runs") as ours, Claims("runs") as theirs:
    ...     _ = ours.take(["b17e"])
    ...     holder = theirs.holders(["b17e"])["b17e"]
    >>> holder.process["pid"] == os.getpid(), holder.silent < 60
    (True, True)
    """

    process: dict[str, Any]
    silent: float


def _holder(process: Any, now: float, beat: Any) -> Holder | None:
    """The holder that a row stands for; None for a row that no rnnlab wrote."""
    try:
        recorded = json.loads(process)
        return Holder(recorded, now - beat) if fault_of({"process": recorded}) is None and recorded else None
    except (TypeError, ValueError, RecursionError):
        return None


def folder_key(name: str) -> str:
    """The key of a run's folder; no identity has this form."""
    return f"folder {name}"


class Claims:
    """The runs that this process has claimed: it trains them, or is about to.

    Raises RunFolderError where the file cannot be made or used, RunFailedError where the disk is full.

    >>> from rnnlab.runs.claims import Claims
    >>> with Claims("runs") as ours, Claims("runs") as theirs:
    ...     print(ours.take(["b17e"]), theirs.take(["b17e"]))
    ...     ours.release(["b17e"])
    ...     print(theirs.take(["b17e"]))
    {'b17e'} set()
    {'b17e'}
    """

    def __init__(
        self,
        root: str | PathLike[str],
        *,
        every: float = 5.0,
        stale_after: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._root, self._path = root, bookkeeping(root) / "claims.sqlite"
        self._every, self._stale_after, self._clock = every, stale_after, clock
        self._owner = secrets.token_hex(16)
        self._mine: set[str] = set()
        self._lock, self._ended = threading.RLock(), threading.Event()
        self._thread = threading.Thread(target=self._beat_until_ended, name="rnnlab-claims", daemon=True)

    def __enter__(self) -> Self:
        if fault := fault_of_file(self._root, self._path.name):
            raise RunFolderError(f"claims cannot be made: {fault}; {_REMEDY}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{self._path.parent} cannot be made: {error.strerror}") from error
        self.beat()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(RunFolderError, RunFailedError), self._file() as file:
            file.execute("DELETE FROM claims WHERE owner = ?", (self._owner,))
            file.execute("DELETE FROM leases WHERE owner = ?", (self._owner,))

    def take(self, identities: Iterable[str]) -> set[str]:
        """Claim these runs; returns those that this process holds now.

        They were free, held by this process before, or under a lease that is not valid any more.
        """
        wanted = list(dict.fromkeys(identities))
        with self._file() as file:
            self._beat(file)
            others = self._held_by_others(file, wanted)
            mine = [identity for identity in wanted if identity not in others]
            file.executemany(
                "INSERT OR REPLACE INTO claims VALUES (?, ?)", ((identity, self._owner) for identity in mine)
            )
            self._mine |= set(mine)
        return set(mine)

    def release(self, identities: Iterable[str]) -> None:
        """Give up the claims to these runs; those of other processes stay."""
        released = list(identities)
        with self._file() as file:
            file.executemany(
                "DELETE FROM claims WHERE identity = ? AND owner = ?",
                ((identity, self._owner) for identity in released),
            )
            self._mine -= set(released)

    def holders(self, identities: Iterable[str]) -> dict[str, Holder]:
        """Those of these runs that another process holds, and its holder."""
        with self._file() as file:
            return self._held_by_others(file, list(identities))

    def beat(self) -> None:
        """Renew this process's lease; where the file was deleted, claim again what nobody has claimed since."""
        with self._file() as file:
            self._beat(file)

    def _beat(self, file: sqlite3.Connection) -> None:
        file.execute(
            "INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", (self._owner, json.dumps(this_process()), self._clock())
        )
        file.executemany(
            "INSERT OR IGNORE INTO claims VALUES (?, ?)", ((identity, self._owner) for identity in self._mine)
        )

    def _beat_until_ended(self) -> None:
        while not self._ended.wait(self._every):
            # A full disk may have room again at the next beat.
            with contextlib.suppress(RunFolderError, RunFailedError):
                self.beat()

    def _held_by_others(self, file: sqlite3.Connection, identities: list[str]) -> dict[str, Holder]:
        holders = self._other_leases(file)
        held: dict[str, Holder] = {}
        for start in range(0, len(identities), _MOST_VARIABLES):
            batch = identities[start : start + _MOST_VARIABLES]
            variables = ",".join("?" * len(batch))
            for identity, owner in file.execute(
                f"SELECT identity, owner FROM claims WHERE identity IN ({variables})", batch
            ):
                if owner in holders:
                    held[identity] = holders[owner]
        return held

    def _other_leases(self, file: sqlite3.Connection) -> dict[str, Holder]:
        """The leases of other processes that are valid. Those that are not are deleted, with their claims."""
        leases, now = {}, self._clock()
        for owner, process, beat in file.execute("SELECT owner, process, beat FROM leases").fetchall():
            holder = _holder(process, now, beat)
            if holder is None or holder.silent > self._stale_after or is_gone(holder.process):
                file.execute("DELETE FROM claims WHERE owner = ?", (owner,))
                file.execute("DELETE FROM leases WHERE owner = ?", (owner,))
            elif owner != self._owner:
                leases[owner] = holder
        return leases

    @contextlib.contextmanager
    def _file(self) -> Iterator[sqlite3.Connection]:
        """The file in one transaction that no other process writes in."""
        with self._lock:
            try:
                with contextlib.closing(sqlite3.connect(self._path, timeout=_WAIT, isolation_level=None)) as file:
                    # A power cut ends all processes, and their claims with them: no commit has to wait for the
                    # disk, and a claim takes 2 ms instead of 30.
                    file.execute("PRAGMA synchronous = OFF")
                    check_plain_tables(file)
                    file.executescript(_TABLES)
                    file.execute("BEGIN IMMEDIATE")
                    yield file
                    file.execute("COMMIT")
            except sqlite3.Error as error:
                if "disk is full" in str(error):
                    raise RunFailedError(f"{self._path} cannot be written: the disk is full") from error
                raise RunFolderError(f"{self._path} cannot be used: {error}; {_REMEDY}") from error
