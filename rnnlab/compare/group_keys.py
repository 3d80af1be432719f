"""The keys by which runs are told apart: those asked for, or the fewest that do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rnnlab.compare.conditions import key_among, plain
from rnnlab.config.facts import NO_CONDITION
from rnnlab.errors import UsageError

MOST_KEYS = 5
"""More keys than these are not chosen without being asked: they would be several experiments in one table."""


def differing_keys(table: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys in which the rows of a table of settings differ, but for those that set nothing."""
    keys = dict.fromkeys(key for row in table for key in row if key not in NO_CONDITION)
    return [key for key in keys if _differ([row.get(key) for row in table])]


def _differ(values: Sequence[Any]) -> bool:
    # Most settings are the same in all runs, and a list is counted faster than its values are made comparable.
    if len({type(value) for value in values}) == 1 and values.count(values[0]) == len(values):
        return False
    return len({plain(value) for value in values}) > 1


def needed_keys(table: Sequence[Mapping[str, Any]]) -> list[str]:
    """The fewest keys, found greedily, that tell all combinations of settings in a table apart."""
    return told_apart_by(table, differing_keys(table), [])


def told_apart_by(table: Sequence[Mapping[str, Any]], differing: Sequence[str], first: Sequence[str]) -> list[str]:
    """`first`, and the fewest other keys, found greedily, that tell all combinations of settings apart."""
    rows = list({tuple(plain(row.get(key)) for key in differing) for row in table})
    place = {key: at for at, key in enumerate(differing)}
    chosen = [key for key in first if key in place]

    def told_apart(keys: Sequence[str]) -> int:
        at = [place[key] for key in keys]
        return len({tuple(row[k] for k in at) for row in rows})

    while told_apart(chosen) < len(rows):
        # max takes the first of equals: a part's name stands before its options.
        chosen.append(max((key for key in differing if key not in chosen), key=lambda key: told_apart([*chosen, key])))
    added = [key for key in differing if key in chosen and key not in first]
    for key in list(added):
        if told_apart([*(k for k in first if k in place), *(k for k in added if k != key)]) == len(rows):
            added.remove(key)
    return [*first, *added]


def distinguishing_keys(table: Sequence[Mapping[str, Any]], differing: Sequence[str]) -> list[str]:
    """The keys that tell the rows apart. Raises UsageError where they are too many to compare without being asked."""
    keys = told_apart_by(table, differing, [])
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
    """The keys asked for; a section such as `clip` stands for all of it that differs."""
    known = dict.fromkeys(key for row in table for key in row)
    sections = {key.rsplit(".", n)[0] for key in known for n in range(1, key.count(".") + 1)}
    keys: list[str] = []
    for asked in by:
        key = key_among(asked, {*known, *sections})
        below = [other for other in differing if other.startswith(f"{key}.")]
        if key in known or not below:
            keys.append(key if key in known else f"{key}.name")
        else:
            keys += told_apart_by([{below_key: row.get(below_key) for below_key in below} for row in table], below, [])
    return list(dict.fromkeys(keys))
