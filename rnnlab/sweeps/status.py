"""The status of a sweep's runs in a folder. Runs are matched by identity, not by name."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from rnnlab.runs.index import Entry, Index
from rnnlab.runs.run_json import ENDED
from rnnlab.sweeps.file import Member, Sweep
from rnnlab.sweeps.jobs import RunSpec
from rnnlab.sweeps.packing import PendingRun


@dataclass(frozen=True)
class SweepStatus:
    """The members of a sweep, each in one of four lists.

    >>> from rnnlab.runs.index import Index
    >>> from rnnlab.sweeps.file import load_sweep
    >>> from rnnlab.sweeps.status import sweep_status
    >>> with Index("runs") as index:
    ...     status = sweep_status(load_sweep({"base": {"task": "addition"}, "seeds": 3}), index)
    >>> status.runs, len(status.done), len(status.missing), status.interrupted
    (3, 0, 3, 0)
    """

    done: tuple[Entry, ...] = ()
    """completed or diverged"""
    failed: tuple[Entry, ...] = ()
    running: tuple[Entry, ...] = ()
    """in a process that is alive"""
    missing: tuple[PendingRun, ...] = ()
    """not begun, or interrupted"""
    dropped: int = 0
    """Runs in the folder that a sweep of this name trained, and that are not members any more."""

    @property
    def runs(self) -> int:
        """How many members the sweep has."""
        return len(self.done) + len(self.failed) + len(self.running) + len(self.missing)

    @property
    def interrupted(self) -> int:
        """How many of the missing runs have a folder that can be resumed."""
        return sum(run.spec.resume for run in self.missing)


def sweep_status(sweep: Sweep, index: Index, *, retry_failed: bool = False, dead: Collection[str] = ()) -> SweepStatus:
    """The status of all members. Runs whose identity is in `dead` are not running, whatever run.json says."""
    entries = index.entries()
    members = {member.identity for member in sweep.members}
    described = members | sweep.others
    dropped = sum(
        bool(sweep.name) and entry.sweep == sweep.name and entry.identity not in described for entry in entries
    )
    known: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.identity in members:
            known.setdefault(entry.identity, []).append(entry)
    return _sorted(sweep.members, known, {entry.name for entry in entries}, retry_failed, dead, dropped)


def pending_runs(
    members: Iterable[Member], index: Index, *, retry_failed: bool = False, dead: Collection[str] = ()
) -> tuple[PendingRun, ...]:
    """`sweep_status(...).missing` for a few members, which is faster."""
    chosen = list(members)
    known = index.by_identity(member.identity for member in chosen)
    return _sorted(chosen, known, index.names(), retry_failed, dead).missing


def _sorted(
    members: Iterable[Member],
    known: dict[str, list[Entry]],
    names: Collection[str],
    retry_failed: bool,
    dead: Collection[str],
    dropped: int = 0,
) -> SweepStatus:
    done, failed, running, missing = list[Entry](), list[Entry](), list[Entry](), list[PendingRun]()
    for member in members:
        by_status: dict[str, Entry] = {}
        for entry in known.get(member.identity, ()):
            interrupted = entry.status == "running" and member.identity in dead
            by_status["interrupted" if interrupted else entry.status] = entry
        if ended := next((by_status[status] for status in ENDED if status in by_status), None):
            done.append(ended)
        elif "running" in by_status:
            running.append(by_status["running"])
        elif "failed" in by_status and not retry_failed:
            failed.append(by_status["failed"])
        else:
            missing.append(_pending(member, by_status.get("interrupted") or by_status.get("failed"), names))
    return SweepStatus(tuple(done), tuple(failed), tuple(running), tuple(missing), dropped)


def _pending(member: Member, old: Entry | None, names: Collection[str]) -> PendingRun:
    """The run under its name, or under one that is free; an unfinished folder of the same run is resumed."""
    name = old.name if old else member.name
    if old is None and name in names:
        name = f"{name[:88]}-{member.identity[:8]}"
    config = member.config.model_copy(update={"name": name})
    return PendingRun(config, RunSpec(name, member.identity, config.resolved(), resume=old is not None))
