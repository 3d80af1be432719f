"""Pairs of groups that differ in one key only, compared seed by seed; each with the key's first value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnnlab.analysis.intervals import Paired, paired
from rnnlab.compare.conditions import plain

if TYPE_CHECKING:
    from rnnlab.compare.group import MeasuredGroup
    from rnnlab.compare.groups import MeasuredGroups


@dataclass(frozen=True)
class Pair:
    """Two groups that differ in `key` only, compared seed by seed.

    Its values in them are `first` and `second`; `rest` has the keys in which they are equal.

    >>> import rnnlab
    >>> from rnnlab.compare.pairs import pairs
    >>> (pair,) = pairs(rnnlab.load_runs("runs").group_by("model.cell").measure())
    >>> pair.first, pair.second, round(pair.comparison.difference.middle, 2), pair.comparison.word
    ('lstm', 'rnn', -13.0, 'differ')
    """

    key: str
    first: Any
    second: Any
    rest: Mapping[str, Any]
    comparison: Paired


def pairs(measured: MeasuredGroups, figure: str = "rate") -> list[Pair]:
    """All pairs that share seeds, by a figure that `MeasuredGroup.each` knows."""
    return [pair for key in measured.groups.by for pair in _by_key(measured, key, figure)]


def _by_key(groups: Sequence[MeasuredGroup], key: str, figure: str) -> Iterator[Pair]:
    families: dict[tuple[Any, ...], list[MeasuredGroup]] = {}
    for group in groups:
        family = tuple(plain(value) for name, value in group.values.items() if name != key)
        families.setdefault(family, []).append(group)
    for first, *others in families.values():
        for other in others:
            if (comparison := paired(first.each(figure), other.each(figure))) is not None:
                rest = {name: value for name, value in first.values.items() if name != key}
                yield Pair(key, first.values[key], other.values[key], rest, comparison)
