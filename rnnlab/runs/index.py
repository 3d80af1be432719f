"""The runs of a folder with their status and identity, from each run.json, kept in a `Store`.

Of ten thousand runs only the run.json files that are new or have changed are read.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

from rnnlab.errors import ConfigError
from rnnlab.runs.folder import RUN_FILE, RunFolder
from rnnlab.runs.run_json import ENDED, status_of
from rnnlab.runs.run_keys import fault_of
from rnnlab.runs.store import Store, stamp_of

_COPIED = ("sweep", "status", "reason", "process", "started", "updates", "updates_per_second")
_SUMMARY = {*_COPIED, "identity", "verdict", "result"}
_RESULT = ("loss", "error", "eval_loss", "eval_error", "test_loss", "test_error")


@dataclass(frozen=True)
class Entry:
    """What run.json says of a run; `identity` is None where the config cannot be read.

    >>> from rnnlab.runs.index import Index
    >>> with Index("runs") as index:
    ...     index.refresh()
    ...     entry = index.entries()[0]
    >>> entry.name, entry.status, entry.updates
    ('lstm-T40-s0', 'completed', 10)
    """

    name: str
    identity: str | None
    sweep: str | None
    """The name of the sweep that trained it; None for `rnnlab train`."""
    status: str
    reason: str
    started: str
    updates: int | None
    updates_per_second: float | None
    verdict: str | None
    result: Mapping[str, Any]


class Index:
    """The index of one folder; call `refresh` first. `left_out` has the folders that could not be read, and why.

    >>> from rnnlab.runs.index import Index
    >>> with Index("runs") as index:
    ...     index.refresh()
    ...     sorted(index.names())[:2]
    ['lstm-T40-s0', 'lstm-T40-s1']
    """

    def __init__(self, root: str | PathLike[str]) -> None:
        self.root = Path(root)
        self.left_out: dict[str, str] = {}
        self._store = Store(root, "run", _is_summary)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def refresh(self, *, ended: bool = True) -> None:
        """Read the runs that are new or have changed, and drop those that were deleted.

        Without `ended`, the files of runs that had ended are not read again; only their existence is checked.
        """
        stamps, summaries = self._store.stamps, self._store.values
        known = {name: stamps[name] for name, summary in summaries.items() if not ended and summary["status"] in ENDED}
        current = dict(_stamps(self.root, known))
        self.left_out = self._store.refresh(current, lambda name: _summary(RunFolder(self.root / name)))

    def entries(self) -> list[Entry]:
        """All runs, by name; a run whose process is gone is not running."""
        return [_entry(name, summary) for name, summary in sorted(self._store.values.items())]

    def names(self) -> set[str]:
        """The names of all runs."""
        return set(self._store.values)

    def by_identity(self, identities: Iterable[str]) -> dict[str, list[Entry]]:
        """The runs of these identities; several entries for a run that was trained more than once."""
        wanted = set(identities)
        entries: dict[str, list[Entry]] = {}
        for name, summary in sorted(self._store.values.items()):
            if summary["identity"] in wanted:
                entries.setdefault(summary["identity"], []).append(_entry(name, summary))
        return entries


def _stamps(root: Path, known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each run's name and the stamp of its run.json; for known runs the given stamp."""
    with contextlib.suppress(FileNotFoundError), os.scandir(root) as folders:
        for folder in folders:
            if folder.name.startswith("."):
                continue
            if folder.name in known:
                yield folder.name, known[folder.name]
                continue
            if (stamp := stamp_of(f"{folder.path}/{RUN_FILE}")) is not None:
                yield folder.name, stamp


def _summary(run: RunFolder) -> dict[str, Any]:
    """The part of run.json that the index keeps. Raises RunFolderError."""
    info = run.read_run()
    result, verdict = info.get("result") or {}, info.get("verdict") or {}
    summary = {name: info.get(name) for name in _COPIED} | {"identity": info.get("identity") or _identity(run)}
    return summary | {"verdict": verdict.get("word"), "result": {name: result.get(name) for name in _RESULT}}


def _is_summary(value: Any) -> bool:
    """Whether a value of the store is what `_summary` gives."""
    if not isinstance(value, dict) or not value.keys() >= _SUMMARY:
        return False
    result, verdict = value["result"], {"word": value["verdict"]}
    return isinstance(result, dict) and fault_of({**value, "verdict": verdict}) is None


def _identity(run: RunFolder) -> str | None:
    """The identity computed from the config, for a run.json without one."""
    from rnnlab.config import load_config

    try:
        return load_config(run.config).identity()
    except ConfigError:
        return None


def _entry(name: str, summary: Mapping[str, Any]) -> Entry:
    return Entry(
        name,
        summary["identity"],
        summary["sweep"],
        status_of(summary),
        str(summary["reason"] or ""),
        str(summary["started"] or ""),
        summary["updates"],
        summary["updates_per_second"],
        summary["verdict"],
        summary["result"],
    )
