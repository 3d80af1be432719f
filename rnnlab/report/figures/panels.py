"""Where each group is drawn: its panel, its colour and its dashes, and the titles and legend that say so."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnnlab.compare.axes import Axis
from rnnlab.compare.group import MeasuredGroup
from rnnlab.report.channels import MOST_LINES, Channels, combination, combinations, text_of
from rnnlab.wording import escaped


@dataclass(frozen=True)
class Size:
    """A width that journals have, and what fits into it.

    >>> from rnnlab.report.figures.panels import SIZES
    >>> SIZES["column"].width, SIZES["page"].width
    (3.3, 6.9)
    """

    width: float
    """Inches."""
    columns: int
    """Of panels of lines, which is less than those of heat maps."""
    panels: int
    map_columns: int
    maps: int


SIZES: Mapping[str, Size] = {"column": Size(3.3, 2, 12, 4, 48), "page": Size(6.9, 4, 24, 8, 48)}
"""One column of a two-column page, and the whole of it."""
_CHARACTER = 0.055
"""Inches: the width of one in a title."""


@dataclass(frozen=True)
class Line:
    """One group in a panel, with the positions of its values among those that are shown by colour and by dashes."""

    group: MeasuredGroup
    color: int
    style: int


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    row: int
    column: int
    title: str
    """Above it."""
    side: str
    """At its right, in the last column: what all panels of a row share."""
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Panels:
    """All panels of a figure, and the entries of its legend."""

    rows: int
    columns: int
    panels: tuple[Panel, ...]
    colors: tuple[str, ...]
    styles: tuple[str, ...]
    color_title: str
    style_title: str
    omitted: tuple[str, ...] = ()
    """What does not fit, each with the option that helps."""

    @property
    def groups(self) -> list[MeasuredGroup]:
        """The groups that are drawn."""
        return [line.group for panel in self.panels for line in panel.lines]

    @property
    def lines(self) -> int:
        """Lines in the fullest panel."""
        return max((len(panel.lines) for panel in self.panels), default=0)

    def blocks(self) -> list[tuple[str, Sequence[str]]]:
        """What the legend explains: a title, and the texts of its entries; nothing of one value alone."""
        both = [(self.color_title, self.colors), (self.style_title, self.styles)]
        return [(title, texts) for title, texts in both if len(texts) > 1]


def arrange(
    groups: Sequence[MeasuredGroup], channels: Channels, names: Mapping[str, str], size: Size, *, maps: bool = False
) -> Panels:
    """The panels of a figure of these groups; of heat maps more and smaller ones fit."""
    most_columns, most_panels = (size.map_columns, size.maps) if maps else (size.columns, size.panels)
    looks = combinations(groups, (*channels.color, *channels.style))
    beyond = len(looks) - MOST_LINES
    kept = [group for group in groups if combination(group, (*channels.color, *channels.style)) in looks[:MOST_LINES]]
    colors, styles = combinations(kept, channels.color), combinations(kept, channels.style)
    omitted = (
        []
        if beyond <= 0
        else [f"{beyond} of {len(looks)} lines a panel (--facet draws an axis in panels, --where chooses)"]
    )
    across, down = _split(kept, channels.facet, most_columns)
    places = _places(kept, across, down, most_columns)
    cells: dict[tuple[int, int], list[Line]] = {}
    for group in kept:
        line = Line(
            group, colors.index(combination(group, channels.color)), styles.index(combination(group, channels.style))
        )
        cells.setdefault(places[combination(group, (*across, *down))], []).append(line)
    most_rows = max(1, most_panels // (1 + max(column for _, column in cells)))
    drawn = {place: lines for place, lines in sorted(cells.items()) if place[0] < most_rows}
    if len(drawn) < len(cells):
        omitted.append(f"{len(cells) - len(drawn)} of {len(cells)} panels ({remedy(size, maps)})")
    columns = 1 + max(column for _, column in drawn)
    room = int(size.width / columns / _CHARACTER)
    panels = tuple(_panel(place, lines, across, down, names, columns, room) for place, lines in drawn.items())
    return Panels(
        rows=1 + max(row for row, _ in drawn),
        columns=columns,
        panels=panels,
        colors=tuple(_texts(kept, channels.color)),
        styles=tuple(_texts(kept, channels.style)),
        color_title=_title(channels.color, names),
        style_title=_title(channels.style, names),
        omitted=tuple(omitted),
    )


def _split(groups: Sequence[MeasuredGroup], facet: Sequence[Axis], most: int) -> tuple[list[Axis], list[Axis]]:
    """The axes whose values go across the figure, and those that go down; one axis alone is wrapped."""
    if len(facet) < 2:
        return list(facet), []
    some = [axes for size in range(1, len(facet)) for axes in itertools.combinations(facet, size)]
    counts = {axes: len(combinations(groups, axes)) for axes in some}
    fitting = [axes for axes in some if counts[axes] <= most]
    if not fitting:
        return list(facet), []
    across = max(fitting, key=lambda axes: counts[axes])
    return list(across), [axis for axis in facet if axis not in across]


def _places(
    groups: Sequence[MeasuredGroup], across: Sequence[Axis], down: Sequence[Axis], most: int
) -> dict[tuple[Any, ...], tuple[int, int]]:
    """The row and column of each combination of values of the axes across and down."""
    columns, rows = combinations(groups, across), combinations(groups, down)
    # Four panels are two by two, and three beside each other where there is room.
    wrap = min(most, len(columns) if len(columns) <= most else math.ceil(len(columns) / 2))
    places = {}
    for group in groups:
        column, row = columns.index(combination(group, across)), rows.index(combination(group, down))
        place = (row, column) if down else divmod(column, wrap)
        places[combination(group, (*across, *down))] = place
    return places


def _panel(
    place: tuple[int, int],
    lines: Sequence[Line],
    across: Sequence[Axis],
    down: Sequence[Axis],
    names: Mapping[str, str],
    columns: int,
    room: int,
) -> Panel:
    """room: characters that a title has."""
    row, column = place
    group = lines[0].group

    def title(axes: Sequence[Axis]) -> str:
        named = text_of(group, axes, names)
        return escaped(named if len(named) <= room else text_of(group, axes))

    above = title(across) if across and not (down and row) else ""
    side = title(down) if down and column == columns - 1 else ""
    return Panel(row, column, above, side, tuple(lines))


def remedy(size: Size, maps: bool = False) -> str:
    """The options that help where not all panels fit."""
    if maps:
        return "--where chooses"
    wider = "" if size is SIZES["page"] else f"--width page has room for {SIZES['page'].panels}, "
    return f"{wider}--color and --style draw more in one, --where chooses"


def _title(axes: Sequence[Axis], names: Mapping[str, str]) -> str:
    return escaped(", ".join(names[axis.key] for axis in axes))


def _texts(groups: Sequence[MeasuredGroup], axes: Sequence[Axis]) -> Iterator[str]:
    """The texts of all combinations of values."""
    texts = {combination(group, axes): text_of(group, axes) for group in groups}
    return (escaped(texts[one]) for one in combinations(groups, axes))
