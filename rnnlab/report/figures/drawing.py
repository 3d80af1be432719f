"""The drawing of each figure: curves by lag, figures of groups by a setting, and heat maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.analysis.intervals import Interval
from rnnlab.compare.axes import Axis
from rnnlab.compare.group import MeasuredGroup
from rnnlab.report.channels import combination, combinations, text_of
from rnnlab.report.figures.canvas import (
    COLOURS,
    Legend,
    as_it_stands,
    common_labels,
    cut,
    look,
    marker,
    panel_axes,
)
from rnnlab.report.figures.data import HeatMap
from rnnlab.report.figures.panels import Line, Panels
from rnnlab.wording import escaped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NORM = r"$\log_{10}\,\|\partial L/\partial h_t\|$"
RATE = "decades per 100 timesteps"
MOST_BANDS = 4
"""In a panel, of bands and of groups with lines of theory: more would lie on each other."""
_THEORY_DASHES = ((0, (1, 1)), (0, (4, 1, 1, 1)), (0, (6, 2)))
_MOST_LINEAR = 50


@dataclass(frozen=True)
class Quantity:
    """What is drawn of each group: its label, its value with an interval, and the ends of its axis."""

    label: str
    of: Callable[[MeasuredGroup], Interval | None]
    limits: tuple[float, float] | None = None


def draw_gradient(figure: Figure, panels: Panels, legend: Legend, title: str | None) -> None:
    """The median curves with their bands."""
    drawn = panel_axes(figure, panels, legend, title)
    for panel, axes in drawn:
        for line in panel.lines:
            curve = line.group.curve
            assert curve is not None
            draw_median(axes, panels, line, curve.lags, (curve.median, curve.low, curve.high))
            if panels.lines <= MOST_BANDS:
                _draw_theory(axes, line.group, look(panels, line.color, line.style)["color"])
    common_labels(figure, drawn, "lag (timesteps)", NORM)


def draw_median(
    axes: Axes, panels: Panels, line: Line, x: NDArray[Any], curve: tuple[NDArray[Any], ...], point: str | None = None
) -> None:
    """A group's median at x, with its band where there are few: curve is the median and the band's two sides."""
    median, low, high = curve
    shown = look(panels, line.color, line.style)
    finite = np.where(np.isfinite(median), median, np.nan)
    axes.plot(x, finite, marker=point, **shown)
    if panels.lines <= MOST_BANDS:
        axes.fill_between(x, low, high, color=shown["color"], alpha=0.15, linewidth=0)


def _draw_theory(axes: Axes, group: MeasuredGroup, colour: str) -> None:
    """The lines of theory of a group, each with its name at its end."""
    curve = group.curve
    assert curve is not None
    for line, dashes in zip(group.theory, cycle(_THEORY_DASHES), strict=False):
        y = line.beside(curve)
        axes.plot(curve.lags, y, color=colour, linestyle=dashes, linewidth=0.7)
        axes.annotate(
            line.name,
            (float(curve.lags[-1]), float(y[-1])),
            ha="right",
            va="top" if line.slope < 0 else "bottom",
            color=colour,
            fontsize=5,
        )


def draw_against(
    figure: Figure, panels: Panels, legend: Legend, title: str | None, x: Axis, name: str, quantity: Quantity
) -> None:
    """Means with intervals against a setting that is a number, a line for each colour and style; `name` is its name.

    Over more than a factor of 50 the setting is on a logarithmic axis.
    """
    drawn = panel_axes(figure, panels, legend, title)
    ticks = sorted({float(x.value(group.values)) for group in panels.groups})
    logarithmic = ticks[0] > 0 and ticks[-1] / ticks[0] > _MOST_LINEAR
    places = np.log(ticks) if logarithmic else np.array(ticks)
    room = min(np.diff(places), default=1.0) * 0.5
    for panel, axes in drawn:
        looks = sorted({(line.color, line.style) for line in panel.lines})
        for at, (color, style) in enumerate(looks):
            members = [line.group for line in panel.lines if (line.color, line.style) == (color, style)]
            members.sort(key=lambda group: float(x.value(group.values)))
            # Side by side, so that intervals at the same place do not lie on each other.
            of = places[[ticks.index(float(x.value(group.values))) for group in members]]
            of = of + room * ((at + 0.5) / len(looks) - 0.5)
            shown = look(panels, color, style) | {"marker": marker(panels, color, style)}
            _with_error_bars(axes, np.exp(of) if logarithmic else of, [quantity.of(group) for group in members], shown)
        if logarithmic:
            axes.set_xscale("log")
        else:
            axes.set_xticks(ticks)
        if quantity.limits:
            axes.set_ylim(*quantity.limits)
    common_labels(figure, drawn, as_it_stands(name), quantity.label)


def _with_error_bars(
    axes: Axes, x: NDArray[np.float64], intervals: Sequence[Interval | None], shown: dict[str, Any]
) -> None:
    known = [at for at, interval in enumerate(intervals) if interval is not None]
    found = [interval for interval in intervals if interval is not None]
    y = np.array([interval.middle for interval in found])
    ends = [(one.middle if one.low is None else one.low, one.middle if one.high is None else one.high) for one in found]
    low, high = np.array(ends).reshape(-1, 2).T
    errors = np.clip([y - low, high - y], 0, None)
    axes.errorbar(x[known], y, errors, elinewidth=0.7, capsize=1.2, markersize=2.5, **(shown | {"linewidth": 0.9}))


def draw_rows(
    figure: Figure, panels: Panels, legend: Legend, title: str | None, x: Axis | None, names: tuple[str, str]
) -> None:
    """Rates in rows, one for each value of a setting: each seed, the mean and its interval.

    names: the labels of the rows and of the axis of numbers.
    """
    drawn = panel_axes(figure, panels, legend, title)
    axis = [x] if x is not None else []
    values = combinations(panels.groups, axis)
    texts = {combination(group, axis): text_of(group, axis) or "all runs" for group in panels.groups}
    for panel, axes in drawn:
        axes.axvline(0, color="0.6", linewidth=0.6)
        looks = sorted({(line.color, line.style) for line in panel.lines})
        for line in panel.lines:
            rank = looks.index((line.color, line.style))
            row = values.index(combination(line.group, axis)) + 0.7 * ((rank + 0.5) / len(looks) - 0.5)
            _row(axes, panels, line, len(values) - 1 - row)
        room = figure.get_size_inches()[0] / (2.5 * panels.columns)
        axes.set_yticks(
            range(len(values)), [as_it_stands(escaped(cut(texts[value], room))) for value in reversed(values)]
        )
        axes.set_ylim(-0.7, len(values) - 0.3)
    common_labels(figure, drawn, names[1], as_it_stands(names[0]))


def _row(axes: Axes, panels: Panels, line: Line, y: float) -> None:
    rate = line.group.rate
    assert rate is not None
    colour = COLOURS[line.color % len(COLOURS)]
    axes.plot(rate.values, [y] * rate.n, "|", color=colour, markersize=4, markeredgewidth=0.7, alpha=0.7)
    if rate.low is not None and rate.high is not None:
        axes.plot([rate.low, rate.high], [y, y], color=colour, linewidth=1)
    axes.plot(rate.middle, y, marker(panels, line.color, line.style), color=colour, markersize=3.2)


def draw_heatmaps(figure: Figure, panels: Panels, legend: Legend, title: str | None, heats: dict[int, HeatMap]) -> None:
    """Update against lag, one panel a group, under one scale; `heats` by the identity of their group."""
    drawn = panel_axes(figure, panels, legend, title)
    known = np.concatenate([heat.values[np.isfinite(heat.values)] for heat in heats.values()] or [np.zeros(1)])
    limits: dict[str, Any] = {"vmin": float(known.min()), "vmax": float(known.max())} if known.size else {}
    image: Any = None
    for panel, axes in drawn:
        axes.set_facecolor("0.8")
        for line in panel.lines:
            heat = heats[id(line.group)]
            image = axes.pcolormesh(
                heat.updates, heat.lags, heat.values.T, shading="nearest", rasterized=True, **limits
            )
    common_labels(figure, drawn, "update", "lag (timesteps)")
    if image is not None:
        bar = figure.colorbar(image, ax=[axes for _, axes in drawn], shrink=min(1.0, 2.0 / panels.rows), pad=0.02)
        bar.set_label(NORM)
        bar.outline.set_linewidth(0.4)
