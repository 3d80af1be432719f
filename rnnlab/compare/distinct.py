"""Groups whose readings are the same measurement: what only acts later has changed nothing before the first update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnnlab.compare.axes import Axis
from rnnlab.compare.conditions import plain
from rnnlab.compare.group import MeasuredGroup
from rnnlab.compare.groups import MeasuredGroups
from rnnlab.config.facts import acts_later

_EQUAL = 1e-4
"""Decades: two machines, or two numbers of threads, round apart by less."""


@dataclass(frozen=True)
class Distinct:
    """The groups that differ in what was measured, and the axes that tell them apart.

    `folded` are the axes along which the readings are the same; of such groups the first is kept.

    >>> import rnnlab
    >>> from rnnlab.compare.distinct import distinct
    >>> found = distinct(rnnlab.load_runs("runs").group_by("model.cell").measure(at=0))
    >>> len(found.groups), [axis.key for axis in found.axes], found.folded
    (2, ['model.cell'], ())
    """

    groups: tuple[MeasuredGroup, ...]
    axes: tuple[Axis, ...]
    folded: tuple[Axis, ...] = ()


def distinct(measured: MeasuredGroups) -> Distinct:
    """The groups without those that differ from another only in what had not acted at update 0, and read the same."""
    groups, axes, folded = tuple(measured), list(measured.groups.axes), []
    if all(reading.update == 0 for group in groups for reading in group.measured):
        for axis in measured.groups.axes:
            families = _families(groups, axis)
            if all(map(acts_later, axis.keys)) and all(map(_is_one_measurement, families)):
                groups = tuple(next((group for group in of if group.measured), of[0]) for of in families)
                axes.remove(axis)
                folded.append(axis)
    return Distinct(groups, tuple(axes), tuple(folded))


def _families(groups: Sequence[MeasuredGroup], axis: Axis) -> list[list[MeasuredGroup]]:
    """The groups in lists of those that differ along this axis only."""
    families: dict[tuple[object, ...], list[MeasuredGroup]] = {}
    for group in groups:
        rest = tuple(plain(value) for key, value in group.values.items() if key not in axis.keys)
        families.setdefault(rest, []).append(group)
    return list(families.values())


def _is_one_measurement(groups: Sequence[MeasuredGroup]) -> bool:
    """Whether the runs of each seed have the same curve in all groups."""
    first: dict[int, np.ndarray[tuple[int, int], np.dtype[np.float64]]] = {}
    for group in groups:
        for reading in group.measured:
            curve = np.stack([reading.curve[0].astype(float), reading.curve[1]])
            other = first.setdefault(reading.seed, curve)
            if curve.shape != other.shape or not np.allclose(curve, other, rtol=0, atol=_EQUAL, equal_nan=True):
                return False
    return True
