"""Which figures there are of some groups: the channels, panels and data of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rnnlab.compare.group import MeasuredGroup
from rnnlab.report.channels import Asked, Channels, channels, is_numeric
from rnnlab.report.figures.canvas import Legend, height_of
from rnnlab.report.figures.data import HeatMap, curve_data, heat_data, rate_data, success_data
from rnnlab.report.figures.drawing import (
    MOST_BANDS,
    RATE,
    Quantity,
    draw_against,
    draw_gradient,
    draw_heatmaps,
    draw_rows,
)
from rnnlab.report.figures.panels import SIZES, Panels, arrange
from rnnlab.report.figures.probe_figures import probe_figures
from rnnlab.report.findings import Findings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class FigureOptions:
    """What the user says of the figures.

    >>> from rnnlab.report.figures.plans import FigureOptions
    >>> FigureOptions(width="page", title="Adding problem").asked.facet is None
    True
    """

    asked: Asked = field(default_factory=Asked)
    title: str | None = None
    width: str = "column"


@dataclass(frozen=True)
class FigurePlan:
    """A figure's name, its size in inches, how it is drawn, the data behind it, and what does not fit."""

    name: str
    width: float
    height: float
    draw: Callable[[Figure], None]
    data: pd.DataFrame
    described: str
    omitted: tuple[str, ...] = ()


def plans(findings: Findings, options: FigureOptions) -> Iterator[FigurePlan]:
    """One figure of each kind for each comparison; several comparisons are numbered."""
    for number, (_, groups) in enumerate(findings.comparisons, 1):
        suffix = f"-{number}" if len(findings.comparisons) > 1 else ""
        title = options.title or (findings.shared_text(groups) or None)
        drawn = _Figures(findings, options, title, suffix)
        yield from drawn.of(groups)


@dataclass(frozen=True)
class _Figures:
    """The figures of one comparison."""

    findings: Findings
    options: FigureOptions
    title: str | None
    suffix: str

    def of(self, groups: Sequence[MeasuredGroup]) -> Iterator[FigurePlan]:
        different = [group for group in groups if group in self.findings.distinct.groups]
        if lines := [group for group in different if group.curve is not None]:
            yield self._gradient(lines)
        if rated := [group for group in different if group.rate is not None]:
            yield self._rates(rated)
        if ended := [group for group in groups if group.ended]:
            yield from self._success(ended)
        if lines:
            yield from self._heatmaps(lines)
        yield from self._probes(groups)

    def _plan(
        self, name: str, panels: Panels, chosen: Channels, data: pd.DataFrame, draw: Any, *, markers: bool = False
    ) -> FigurePlan:
        width = SIZES[self.options.width].width
        legend = Legend(panels, width, markers=markers)
        height = height_of(panels, legend, width, self.title)
        return FigurePlan(
            f"{name}{self.suffix}",
            width,
            height,
            lambda figure: draw(figure, panels, legend, self.title),
            data,
            chosen.described(),
            panels.omitted,
        )

    def _arranged(self, groups: Sequence[MeasuredGroup], chosen: Channels, *, maps: bool = False) -> Panels:
        return arrange(groups, chosen, self.findings.names, SIZES[self.options.width], maps=maps)

    def _gradient(self, groups: Sequence[MeasuredGroup]) -> FigurePlan:
        chosen = channels(self.findings, groups, self.options.asked, self.findings.distinct.axes)
        panels = self._arranged(groups, chosen)
        plan = self._plan("gradient", panels, chosen, curve_data(panels.groups), draw_gradient)
        if panels.lines > MOST_BANDS and any(group.theory for group in panels.groups):
            without = f"lines of theory are drawn beside at most {MOST_BANDS} curves a panel; --facet, or --where"
            plan = replace(plan, omitted=(*plan.omitted, without))
        return plan

    def _rates(self, groups: Sequence[MeasuredGroup]) -> FigurePlan:
        chosen = channels(self.findings, groups, self.options.asked, self.findings.distinct.axes, with_x=True)
        panels = self._arranged(groups, chosen)
        name = self.findings.names[chosen.x.key] if chosen.x else ""

        def draw(figure: Figure, panels: Panels, legend: Legend, title: str | None) -> None:
            if chosen.x is not None and is_numeric(chosen.x, panels.groups):
                draw_against(figure, panels, legend, title, chosen.x, name, Quantity(RATE, lambda group: group.rate))
            else:
                draw_rows(figure, panels, legend, title, chosen.x, (name, RATE))

        return self._plan("rates", panels, chosen, rate_data(panels.groups), draw, markers=True)

    def _success(self, groups: Sequence[MeasuredGroup]) -> Iterator[FigurePlan]:
        """Against a setting that is a number, and only where there is one."""
        chosen = channels(
            self.findings, groups, self.options.asked, self.findings.groups.axes, with_x=True, numeric=True
        )
        x = chosen.x
        if x is None or not is_numeric(x, groups):
            return
        panels = self._arranged(groups, chosen)
        share = Quantity("success rate", lambda group: group.success, (-0.04, 1.04))

        def draw(figure: Figure, panels: Panels, legend: Legend, title: str | None) -> None:
            draw_against(figure, panels, legend, title, x, self.findings.names[x.key], share)

        yield self._plan("success", panels, chosen, success_data(panels.groups), draw, markers=True)

    def _probes(self, groups: Sequence[MeasuredGroup]) -> Iterator[FigurePlan]:
        chosen = channels(self.findings, groups, self.options.asked, self.findings.groups.axes)
        for figure in probe_figures(self.findings, groups, chosen, SIZES[self.options.width]):
            yield self._plan(figure.name, figure.panels, chosen, figure.data(), figure.draw)

    def _heatmaps(self, groups: Sequence[MeasuredGroup]) -> Iterator[FigurePlan]:
        """A panel a group, in rows and columns by the axes."""
        chosen = channels(self.findings, groups, Asked(color=(), style=()), self.findings.distinct.axes)
        panels = self._arranged(groups, chosen, maps=True)
        heats = {id(group): HeatMap.of(self.findings.groups, group) for group in panels.groups}
        known = {key: heat for key, heat in heats.items() if heat is not None}
        if known:

            def draw(figure: Figure, panels: Panels, legend: Legend, title: str | None) -> None:
                draw_heatmaps(figure, panels, legend, title, known)

            yield self._plan("heatmaps", panels, chosen, heat_data([*known.values()]), draw)
