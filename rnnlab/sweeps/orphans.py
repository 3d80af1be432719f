"""Runs that workers are still training after the sweep that started them was killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rnnlab.provenance import is_here
from rnnlab.runs.claims import Claims, folder_key
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.index import Entry, Index
from rnnlab.sweeps.jobs import RunSpec

_TIMEOUT = 20.0
"""Seconds that the workers of a killed driver get for their last checkpoints."""


def wait_for_orphans(running: Sequence[Entry], index: Index, claims: Claims, say: Callable[[str], None]) -> set[str]:
    """Wait while the workers of a killed sweep write their last checkpoints; return the runs without a process.

    A run that `rnnlab train` began may have no claim, and is left alone. `say` gets a message before a wait and one
    after it.
    """
    begun = [entry for entry in running if entry.identity and entry.sweep is not None]
    claimed = claims.holders(key for entry in begun for key in keys_of(entry))
    orphans = {str(entry.identity) for entry in begun if not claimed.keys() & keys_of(entry)}
    first, start = 0, time.monotonic()
    while orphans and time.monotonic() < start + _TIMEOUT:
        index.refresh(ended=False)
        known = index.by_identity(orphans)
        orphans = {identity for identity, entries in known.items() if any(e.status == "running" for e in entries)}
        if orphans and not first:
            first = len(orphans)
            say(f"waiting {_TIMEOUT:.0f}s at most for {_runs(first)} that a sweep which was killed is still training")
        time.sleep(0.2 if orphans else 0)
    if first:
        ended = f"{first - len(orphans)} of {first} have stopped"
        say(f"waited {time.monotonic() - start:.0f}s for {_runs(first)}: {ended}")
    # Runs whose process is alive on this machine go on. Runs that another machine left are taken over.
    known = index.by_identity(orphans)
    return {identity for identity in orphans if not any(_is_here(entry, index) for entry in known[identity])}


def _runs(count: int) -> str:
    return f"{count:,} run{'s' * (count != 1)}"


def _is_here(entry: Entry, index: Index) -> bool:
    return entry.status == "running" and is_here(RunFolder(index.root / entry.name).read_run()["process"])


def keys_of(run: RunSpec | Entry) -> set[str]:
    """The keys that are claimed for a run: its identity, and its folder."""
    return {str(run.identity), folder_key(run.name)}
