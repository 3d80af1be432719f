"""Where the runs of a sweep stand in a folder: found by what they are, not by what they are called."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from rnnlab.fleets import Todo
from rnnlab.index import Entry, Index
from rnnlab.jobs import ENDED, Item
from rnnlab.sweeps import Member, Sweep


@dataclass(frozen=True)
class Survey:
    """The members of a sweep, each in one of four lists, and what else is there."""

    done: list[Entry] = field(default_factory=list)
    """completed or diverged"""
    failed: list[Entry] = field(default_factory=list)
    running: list[Entry] = field(default_factory=list)
    """by a process that is alive"""
    missing: list[Todo] = field(default_factory=list)
    """not begun, or interrupted"""
    dropped: int = 0
    """Runs that a sweep of this name trained, and that are not of it any more."""

    @property
    def interrupted(self) -> int:
        """How many of the missing have a folder to go on with."""
        return sum(item.again for _, item in self.missing)


def survey(sweep: Sweep, index: Index, *, retry_failed: bool = False, gone: Collection[str] = ()) -> Survey:
    """Where all members stand. Runs of the identities in `gone` are not running, whatever run.json says."""
    entries = index.entries()
    mine = {member.identity for member in sweep.members}
    dropped = sum(bool(sweep.name) and one.sweep == sweep.name and one.identity not in mine for one in entries)
    found = Survey(dropped=dropped)
    known: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.identity in mine:
            known.setdefault(entry.identity, []).append(entry)
    _sort(sweep.members, known, {entry.name for entry in entries}, retry_failed, gone, found)
    return found


def still_to_do(
    members: Iterable[Member], index: Index, *, retry_failed: bool = False, gone: Collection[str] = ()
) -> list[Todo]:
    """Those of a few members that are not done, failed or running: what `survey` calls missing, found faster."""
    chosen, found = list(members), Survey()
    known = index.by_identity(member.identity for member in chosen)
    _sort(chosen, known, index.names(), retry_failed, gone, found)
    return found.missing


def _sort(
    members: Iterable[Member],
    known: dict[str, list[Entry]],
    taken: Collection[str],
    retry_failed: bool,
    gone: Collection[str],
    found: Survey,
) -> None:
    for member in members:
        there: dict[str, Entry] = {}
        for entry in known.get(member.identity, ()):
            dead = entry.status == "running" and member.identity in gone
            there["interrupted" if dead else entry.status] = entry
        if over := next((there[status] for status in ENDED if status in there), None):
            found.done.append(over)
        elif "running" in there:
            found.running.append(there["running"])
        elif "failed" in there and not retry_failed:
            found.failed.append(there["failed"])
        else:
            found.missing.append(_todo(member, there.get("interrupted") or there.get("failed"), taken))


def _todo(member: Member, old: Entry | None, taken: Collection[str]) -> Todo:
    """The run under its name, or one that is free; an unfinished folder of the same run is gone on with."""
    name = old.name if old else member.name
    if old is None and name in taken:
        name = f"{name[:88]}-{member.identity[:8]}"
    config = member.config.model_copy(update={"name": name})
    return config, Item(name, member.identity, config.resolved(), again=old is not None)
