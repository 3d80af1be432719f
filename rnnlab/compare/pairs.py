"""Pairs of groups that differ along one axis only, compared seed by seed; each with the axis's first value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnnlab.analysis.intervals import Paired, paired
from rnnlab.compare.axes import Axis
from rnnlab.compare.conditions import plain
from rnnlab.compare.distinct import distinct

if TYPE_CHECKING:
    from rnnlab.compare.group import MeasuredGroup
    from rnnlab.compare.groups import MeasuredGroups


@dataclass(frozen=True)
class Pair:
    """Two groups that differ along the axis `key` only, compared seed by seed.

    Its values in them are `first` and `second`; `rest` has the axes along which they are equal.

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
    """All pairs that share seeds, by a figure that `MeasuredGroup.each` knows; of equal measurements only the first."""
    different = distinct(measured)
    shown = (*measured.groups.also_axes, *different.axes)
    return [pair for axis in different.axes for pair in _along(axis, different.groups, shown, figure)]


def _along(axis: Axis, groups: Sequence[MeasuredGroup], shown: Sequence[Axis], figure: str) -> Iterator[Pair]:
    families: dict[tuple[Any, ...], list[MeasuredGroup]] = {}
    for group in groups:
        family = tuple(plain(value) for key, value in group.values.items() if key not in axis.keys)
        families.setdefault(family, []).append(group)
    for first, *others in families.values():
        for other in others:
            if (comparison := paired(first.each(figure), other.each(figure))) is not None:
                rest = {same.key: same.value(first.values) for same in shown if same != axis}
                yield Pair(axis.key, axis.value(first.values), axis.value(other.values), rest, comparison)
