"""What shows each axis in a chart: panels, colours, dashes, or the x axis; chosen by how many values an axis has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rnnlab.compare.conditions import plain
from rnnlab.report.headings import values_of

if TYPE_CHECKING:
    from rnnlab.compare.axes import Axis
    from rnnlab.compare.group import MeasuredGroup
    from rnnlab.report.findings import Findings

MOST_LINES = 12
"""In a panel: more cannot be told apart."""
_MOST_COLORS = 8
_MOST_STYLES = 4
_LENGTH = "task.length"


@dataclass(frozen=True)
class Asked:
    """The keys that the user gave for each channel; None where the choice is rnnlab's.

    >>> from rnnlab.report.channels import Asked
    >>> Asked(color=["model.cell"]).facet is None
    True
    """

    facet: Sequence[str] | None = None
    color: Sequence[str] | None = None
    style: Sequence[str] | None = None
    x: str | None = None


@dataclass(frozen=True)
class Channels:
    """The axes that are shown by panels, colours and dashes, and the one on the x axis of what has one value a group.

    >>> import rnnlab
    >>> from rnnlab.report.channels import Asked, channels
    >>> from rnnlab.report.findings import Findings
    >>> findings = Findings(rnnlab.load_runs("runs").group_by("model.cell"))
    >>> chosen = channels(findings, findings.measured, Asked(), findings.axes)
    >>> [axis.key for axis in chosen.color], chosen.facet, chosen.style
    (['model.cell'], (), ())
    """

    facet: tuple[Axis, ...] = ()
    color: tuple[Axis, ...] = ()
    style: tuple[Axis, ...] = ()
    x: Axis | None = None

    def described(self) -> str:
        """In words, for a comment: `facet task.length, color model.cell`."""
        named = {"facet": self.facet, "color": self.color, "style": self.style, "x": (self.x,) if self.x else ()}
        return "; ".join(f"{name} {','.join(axis.key for axis in axes)}" for name, axes in named.items() if axes)


@dataclass
class _Choice:
    counts: Mapping[Axis, int]
    left: list[Axis]
    taken: dict[str, tuple[Axis, ...]] = field(default_factory=dict)

    def take(self, channel: str, axes: Sequence[Axis]) -> None:
        self.taken[channel] = tuple(axes)
        self.left = [axis for axis in self.left if axis not in axes]

    def values(self, channel: str) -> int:
        """Combinations of values that a channel has to show."""
        count = 1
        for axis in self.taken.get(channel, ()):
            count *= self.counts[axis]
        return count


def channels(
    findings: Findings,
    groups: Sequence[MeasuredGroup],
    asked: Asked,
    axes: Sequence[Axis],
    *,
    with_x: bool = False,
    numeric: bool = False,
) -> Channels:
    """The channels of a chart of these groups: those asked for, and the rest of the axes by their number of values.

    `with_x`: one axis is on the x axis; with `numeric` only if its values are numbers. Raises UsageError where a key
    that was asked for is not among the findings' axes.
    """
    counts = {axis: len({plain(axis.value(group.values)) for group in groups}) for axis in axes}
    choice = _Choice(counts, [axis for axis in axes if counts[axis] > 1])
    for channel in ("facet", "color", "style"):
        if (keys := getattr(asked, channel)) is not None:
            choice.take(channel, [axis for key in keys if (axis := findings.axis(key)) in axes])
    if with_x:
        given = [findings.axis(asked.x)] if asked.x is not None else _x(choice, groups, numeric=numeric)
        choice.take("x", given)
        for channel in ("facet", "color", "style"):
            choice.taken[channel] = tuple(axis for axis in choice.taken.get(channel, ()) if axis not in given)
    lines = MOST_LINES // max(1, choice.values("style"))
    if asked.color is None and (found := _with_most_values(choice, min(_MOST_COLORS, lines))):
        choice.take("color", [found])
    lines = MOST_LINES // max(1, choice.values("color"))
    if asked.style is None and (found := _with_fewest_values(choice, min(_MOST_STYLES, lines))):
        choice.take("style", [found])
    # Where panels were asked for, what is left has to be told apart by colour.
    rest = "facet" if asked.facet is None else "color"
    choice.take(rest, [*choice.taken.get(rest, ()), *choice.left])
    taken = choice.taken
    (x,) = taken.get("x") or (None,)
    return Channels(taken.get("facet", ()), taken.get("color", ()), taken.get("style", ()), x)


def _x(choice: _Choice, groups: Sequence[MeasuredGroup], *, numeric: bool) -> list[Axis]:
    """The sequence length, the axis of numbers with the most values, or any axis with the most."""
    numbers = [axis for axis in choice.left if is_numeric(axis, groups)]
    if lengths := [axis for axis in numbers if axis.key == _LENGTH]:
        return lengths
    among = numbers or ([] if numeric else choice.left)
    return [max(among, key=lambda axis: choice.counts[axis])] if among else []


def _with_most_values(choice: _Choice, most: int) -> Axis | None:
    """A length goes into panels, as its curves have other lags, unless it is the only axis."""
    among = [axis for axis in choice.left if axis.key != _LENGTH or len(choice.left) == 1]
    if len(choice.left) == 1 and not choice.taken.get("facet") and not choice.taken.get("style"):
        return choice.left[0]
    fitting = [axis for axis in among if choice.counts[axis] <= most]
    return max(fitting, key=lambda axis: choice.counts[axis]) if fitting else None


def _with_fewest_values(choice: _Choice, most: int) -> Axis | None:
    fitting = [axis for axis in choice.left if choice.counts[axis] <= most]
    return min(fitting, key=lambda axis: choice.counts[axis]) if fitting else None


def is_numeric(axis: Axis, groups: Sequence[MeasuredGroup]) -> bool:
    """Whether all values of an axis are numbers."""
    values = [axis.value(group.values) for group in groups]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def combinations(groups: Sequence[MeasuredGroup], axes: Sequence[Axis]) -> list[tuple[Any, ...]]:
    """The combinations of values of these axes that there are, in the order of the groups' values, axis by axis."""
    order = [list(dict.fromkeys(plain(axis.value(group.values)) for group in groups)) for axis in axes]
    found = {combination(group, axes) for group in groups}
    return sorted(found, key=lambda one: [values.index(value) for values, value in zip(order, one, strict=True)])


def combination(group: MeasuredGroup, axes: Sequence[Axis]) -> tuple[Any, ...]:
    """A group's values of these axes, to be compared."""
    return tuple(plain(axis.value(group.values)) for axis in axes)


def text_of(group: MeasuredGroup, axes: Sequence[Axis], names: Mapping[str, str] | None = None) -> str:
    """A group's values of these axes; with names `length 20, clip none`."""
    texts = values_of(group, axes)
    if names is None:
        return ", ".join(texts)
    return ", ".join(f"{names[axis.key]} {text}" for axis, text in zip(axes, texts, strict=True))
