"""The keys that distinguish runs: those asked for, or as few as possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rnnlab.compare.conditions import key_among, plain
from rnnlab.config.facts import NO_CONDITION
from rnnlab.errors import UsageError

MOST_KEYS = 5
"""Above this number the user has to choose the keys: the table would mix several experiments."""


def differing_keys(table: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys in which the rows of a table of settings differ, without those that change no result."""
    keys = dict.fromkeys(key for row in table for key in row if key not in NO_CONDITION)
    return [key for key in keys if _differ([row.get(key) for row in table])]


def _differ(values: Sequence[Any]) -> bool:
    # A shortcut: most settings are equal in all runs, and counting is faster than making the values comparable.
    if len({type(value) for value in values}) == 1 and values.count(values[0]) == len(values):
        return False
    return len({plain(value) for value in values}) > 1


def needed_keys(table: Sequence[Mapping[str, Any]]) -> list[str]:
    """As few keys as possible (a greedy search) that distinguish all combinations of settings in a table."""
    return with_needed_keys(table, differing_keys(table), [])


def with_needed_keys(table: Sequence[Mapping[str, Any]], differing: Sequence[str], first: Sequence[str]) -> list[str]:
    """`first`, and as few other keys as possible (a greedy search), so that all combinations are distinguished."""
    rows = list({tuple(plain(row.get(key)) for key in differing) for row in table})
    column = {key: index for index, key in enumerate(differing)}
    chosen = [key for key in first if key in column]

    def count(keys: Sequence[str]) -> int:
        columns = [column[key] for key in keys]
        return len({tuple(row[k] for k in columns) for row in rows})

    while count(chosen) < len(rows):
        # max takes the first of equals, and the name of a part comes before its options.
        chosen.append(max((key for key in differing if key not in chosen), key=lambda key: count([*chosen, key])))
    added = [key for key in differing if key in chosen and key not in first]
    for key in list(added):
        if count([*(k for k in first if k in column), *(k for k in added if k != key)]) == len(rows):
            added.remove(key)
    return [*first, *added]


def distinguishing_keys(table: Sequence[Mapping[str, Any]], differing: Sequence[str]) -> list[str]:
    """The keys that distinguish the rows. Raises UsageError where there are more than MOST_KEYS."""
    keys = with_needed_keys(table, differing, [])
    if len(keys) > MOST_KEYS:
        listed = "; ".join(f"{key} ({_choices(table, key)})" for key in keys)
        raise UsageError(
            f"these runs differ in {len(keys)} settings: {listed}. Say which to compare with --by KEY,KEY, "
            "and choose runs that are alike in the others with --where"
        )
    return keys


def _choices(table: Sequence[Mapping[str, Any]], key: str) -> str:
    values = list(dict.fromkeys(str(row.get(key)) for row in table))
    return ", ".join(values[:3]) + (", ..." if len(values) > 3 else "")


def expanded_keys(by: Sequence[str], table: Sequence[Mapping[str, Any]], differing: Sequence[str]) -> list[str]:
    """The keys asked for; a section such as `clip` stands for its keys that differ."""
    known = dict.fromkeys(key for row in table for key in row)
    sections = {key.rsplit(".", n)[0] for key in known for n in range(1, key.count(".") + 1)}
    keys: list[str] = []
    for given in by:
        key = key_among(given, {*known, *sections})
        below = [other for other in differing if other.startswith(f"{key}.")]
        if key in known or not below:
            keys.append(key if key in known else f"{key}.name")
        else:
            keys += with_needed_keys([{name: row.get(name) for name in below} for row in table], below, [])
    return list(dict.fromkeys(keys))
