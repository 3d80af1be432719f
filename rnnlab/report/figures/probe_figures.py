"""The figures of probes: a panel for each quantity, layer and part, with the groups' lines in it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rnnlab.compare.group import MeasuredGroup
from rnnlab.compare.probe_series import Spread
from rnnlab.probes import Chart
from rnnlab.report.channels import Channels, text_of
from rnnlab.report.figures.canvas import Legend, as_it_stands, common_labels, panel_axes
from rnnlab.report.figures.data import labelled
from rnnlab.report.figures.drawing import draw_median
from rnnlab.report.figures.panels import Panel, Panels, Size, arrange, remedy
from rnnlab.report.findings import Findings
from rnnlab.report.probe_sections import Place, Section
from rnnlab.wording import escaped

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ProbeFigure:
    """A figure of one probe: charts that have one x axis, and what its panels show of which groups."""

    name: str
    section: Section
    charts: tuple[Chart, ...]
    panels: Panels
    shown: Mapping[tuple[int, int], tuple[Chart, Place]]
    """By row and column."""
    number_of: Callable[[MeasuredGroup], int]
    """A group's place in the section."""

    def spread(self, panel: Panel, group: MeasuredGroup) -> Spread | None:
        """What a panel shows of a group."""
        series = self.section.of(*self.shown[panel.row, panel.column], self.number_of(group))
        return None if series is None else series.drawn

    def draw(self, figure: Figure, panels: Panels, legend: Legend, title: str | None) -> None:
        """Medians with their bands; panels of one quantity have one scale."""
        drawn = panel_axes(figure, panels, legend, title, share_y=False)
        for panel, axes in drawn:
            for line in panel.lines:
                if (spread := self.spread(panel, line.group)) is not None:
                    point = "." if len(spread.x) == 1 else None
                    draw_median(axes, panels, line, spread.x, (spread.median, spread.low, spread.high), point)
        for chart in self.charts:
            of = [(panel, axes) for panel, axes in drawn if self.shown[panel.row, panel.column][0] == chart]
            self._scale(chart, of)
        # What is drawn stands above each panel.
        units = {"" if chart.unit == "1" else chart.unit for chart in self.charts}
        unit = units.pop() if len(units) == 1 else ""
        x = self.section.x_label(self.charts[0])
        common_labels(figure, drawn, as_it_stands(escaped(x)), as_it_stands(escaped(unit)))

    def _scale(self, chart: Chart, drawn: Sequence[tuple[Panel, Axes]]) -> None:
        if self.section.is_logarithmic(chart):
            for _, axes in drawn:
                axes.set_yscale("log", nonpositive="mask")
        limits = np.array([axes.get_ylim() for _, axes in drawn])
        for _, axes in drawn:
            axes.set_ylim(float(limits[:, 0].min()), float(limits[:, 1].max()))

    def data(self) -> pd.DataFrame:
        """What is drawn, a row a point."""
        import pandas as pd

        frames = []
        for panel in self.panels.panels:
            chart, place = self.shown[panel.row, panel.column]
            x = "update" if self.section.against_updates(chart) else "at"
            for line in panel.lines:
                if (spread := self.spread(panel, line.group)) is None:
                    continue
                layer = "" if place.layer < 0 else place.layer
                fixed = {**line.group.values, "quantity": chart.quantity, "layer": layer, "part": place.part}
                columns = {x: spread.x, "median": spread.median, "low": spread.low, "high": spread.high}
                frames.append(labelled(pd.DataFrame({**columns, "runs": spread.runs}), fixed))
        return pd.concat(frames, ignore_index=True)


def probe_figures(
    findings: Findings, groups: Sequence[MeasuredGroup], channels: Channels, size: Size
) -> Iterator[ProbeFigure]:
    """The figures of each probe that these groups have: one for each x axis, or more where that is too much."""
    number_of = {id(group): number for number, group in enumerate(findings.measured)}
    # Of all groups, so that each has the same look in every figure.
    base = arrange(groups, channels, findings.names, replace(size, columns=10**6, panels=10**6))
    for section in findings.charted_probes:
        if not any(section.series[number_of[id(group)]] for group in groups):
            continue
        for name, charts in _by_x(section):
            for named, together in _fitting(section, name, charts, size.panels // len(base.panels)):
                found = _arranged(section, together, base, channels, findings.names, size, number_of)
                if found is not None:
                    panels, shown = found
                    yield ProbeFigure(named, section, together, panels, shown, lambda group: number_of[id(group)])


def _by_x(section: Section) -> Iterator[tuple[str, list[Chart]]]:
    """The charts against each x axis, and the name of their figure."""
    by_x: dict[tuple[bool, str], list[Chart]] = {}
    for chart in section.charts:
        by_x.setdefault((section.against_updates(chart), section.x_label(chart)), []).append(chart)
    for number, ((updates, _), charts) in enumerate(sorted(by_x.items(), key=lambda item: item[0][0])):
        name = f"probe-{section.name}" + ("-updates" if updates else f"-{number + 1}" if number else "")
        yield name, charts


def _fitting(
    section: Section, name: str, charts: Sequence[Chart], most: int
) -> Iterator[tuple[str, tuple[Chart, ...]]]:
    """All charts in one figure; beyond `most` panels those of several parts have figures of their own."""
    panels = {chart: len(section.places(chart)) for chart in charts}
    apart = [chart for chart in charts if panels[chart] > 1] if sum(panels.values()) > most else []
    for chart in apart:
        yield _safe(f"probe-{section.name}-{chart.quantity}"), (chart,)
    if together := tuple(chart for chart in charts if chart not in apart):
        yield _safe(name), together


def _safe(name: str) -> str:
    """A file's name: a probe from outside may be called anything."""
    return re.sub(r"[^\w-]", "_", name)


def _arranged(
    section: Section,
    charts: Sequence[Chart],
    base: Panels,
    channels: Channels,
    names: Mapping[str, str],
    size: Size,
    number_of: Mapping[int, int],
) -> tuple[Panels, dict[tuple[int, int], tuple[Chart, Place]]] | None:
    """For each quantity, layer and part the panels of the groups that have it: rows of them, or all in turn."""
    pieces = []
    for chart in charts:
        for place in section.places(chart):
            for panel in base.panels:
                lines = tuple(line for line in panel.lines if section.of(chart, place, number_of[id(line.group)]))
                if lines:
                    text = section.text(chart, place)
                    facet = text_of(lines[0].group, channels.facet, names) if channels.facet else ""
                    pieces.append((chart, place, lines, ", ".join(part for part in (text, facet) if part)))
    if not pieces:
        return None
    kept = pieces[: size.panels]
    # Where it can be, a row has all facets of what it shows.
    facets = len(base.panels)
    most = size.columns // facets * facets if facets <= size.columns else size.columns
    columns = min(most, len(kept) if len(kept) <= most else math.ceil(len(kept) / 2) if facets == 1 else most)
    panels, shown = [], {}
    for number, (chart, place, lines, text) in enumerate(kept):
        row, column = divmod(number, columns)
        panels.append(Panel(row, column, escaped(text), "", lines))
        shown[row, column] = chart, place
    omitted = list(base.omitted)
    if len(kept) < len(pieces):
        omitted.append(f"{len(pieces) - len(kept)} of {len(pieces)} panels ({remedy(size)})")
    rows = 1 + max(panel.row for panel in panels)
    return replace(base, rows=rows, columns=columns, panels=tuple(panels), omitted=tuple(omitted)), shown
