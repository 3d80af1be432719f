"""The drawing of each figure."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnlab.compare.group import MeasuredGroup
from rnnlab.report.figures.data import HeatMap
from rnnlab.report.findings import Findings
from rnnlab.report.headings import label
from rnnlab.wording import escaped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (2008): colours that colour-blind readers can distinguish; dashes and markers help in grey.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#8A6D00")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)))
_MARKERS = "osD^vP"
_MOST_LINES = 12
_SHORT_NAME = 24


class GroupLabels:
    """The labels of groups in a legend: their values of the keys that are compared, without control characters.

    >>> import rnnlab
    >>> from rnnlab.report.figures.drawing import GroupLabels
    >>> from rnnlab.report.findings import Findings
    >>> findings = Findings(rnnlab.load_runs("runs").group_by("model.cell"))
    >>> labels = GroupLabels(findings, findings.measured)
    >>> [labels.of(group) for group in findings.measured]
    ['lstm', 'rnn']
    """

    def __init__(self, findings: Findings, groups: Sequence[MeasuredGroup]) -> None:
        self._by = findings.groups.axes

    def of(self, group: MeasuredGroup) -> str:
        return escaped(label(group, self._by))

    def without_length(self, group: MeasuredGroup) -> str:
        """The label without the sequence length."""
        return escaped(label(group, [axis for axis in self._by if axis.key != "task.length"]))


def _as_it_stands(text: str) -> str:
    r"""The text as matplotlib draws it character by character: between two dollar signs it would read a formula.

    >>> _as_it_stands(r"$\frac{$")
    '\\$\\frac{\\$'
    """
    return text.replace("$", r"\$")


def height_with_legend(height: float, names: Sequence[str]) -> float:
    """The height with room for the legend above the axes, in two columns if all names are short."""
    lines = len(names) if 1 < len(names) <= _MOST_LINES else 0
    return height + 0.14 * (-(-lines // 2) if all(len(name) <= _SHORT_NAME for name in names) else lines)


def _line_style(number: int) -> dict[str, Any]:
    turn = number // len(_COLOURS)
    return {"color": _COLOURS[number % len(_COLOURS)], "linestyle": _DASHES[(number + turn) % len(_DASHES)]}


def _legend(axes: Axes, lines: int) -> None:
    if 1 < lines <= _MOST_LINES:
        short = all(len(name) <= _SHORT_NAME for name in axes.get_legend_handles_labels()[1])
        axes.figure.legend(loc="outside upper left", ncols=2 if short else 1, handlelength=2.4, columnspacing=1.2)


def draw_gradient(figure: Figure, groups: Sequence[MeasuredGroup], names: GroupLabels) -> None:
    """The median curves with their bands."""
    axes = figure.subplots()
    for number, group in enumerate(groups):
        curve = group.curve
        assert curve is not None
        finite = np.where(np.isfinite(curve.median), curve.median, np.nan)
        axes.plot(curve.lags, finite, label=_as_it_stands(names.of(group)), **_line_style(number))
        if len(groups) <= _MOST_LINES:
            shade = _COLOURS[number % len(_COLOURS)]
            axes.fill_between(curve.lags, curve.low, curve.high, color=shade, alpha=0.15, linewidth=0)
    axes.set_xlabel("lag (timesteps)")
    axes.set_ylabel(r"$\log_{10}\,\|\partial L/\partial h_t\|$")
    _legend(axes, len(groups))


def draw_rates(figure: Figure, groups: Sequence[MeasuredGroup], names: GroupLabels) -> None:
    """Each seed, the mean and its interval, one row for each group."""
    axes = figure.subplots()
    axes.axvline(0, color="0.6", linewidth=0.6)
    for row, group in enumerate(reversed(groups)):
        number, rate = len(groups) - 1 - row, group.rate
        assert rate is not None
        colour = _COLOURS[number % len(_COLOURS)]
        axes.plot(rate.values, [row] * rate.n, "|", color=colour, markersize=5, markeredgewidth=0.7, alpha=0.7)
        if rate.low is not None and rate.high is not None:
            axes.plot([rate.low, rate.high], [row, row], color=colour, linewidth=1)
        marker = _MARKERS[(number // len(_COLOURS)) % len(_MARKERS)]
        axes.plot(rate.middle, row, marker, color=colour, markersize=3.5)
    rows = [_as_it_stands(textwrap.shorten(names.of(group), 40)) for group in reversed(groups)]
    axes.set_yticks(range(len(groups)), rows)
    axes.set_ylim(-0.7, len(groups) - 0.3)
    axes.set_xlabel("decades per 100 timesteps")


def draw_success(figure: Figure, groups: Sequence[MeasuredGroup], names: GroupLabels) -> None:
    """Success rates against sequence length, with their intervals."""
    axes = figure.subplots()
    families = {
        name: list(members)
        for name, members in itertools.groupby(sorted(groups, key=names.without_length), names.without_length)
    }
    for number, (name, members) in enumerate(families.items()):
        members.sort(key=lambda group: float(group.values["task.length"] or 0))
        rates = [rate for group in members if (rate := group.success) is not None]
        # Side by side, so that intervals at the same length do not overlap.
        shift = 1 + 0.012 * (number - (len(families) - 1) / 2)
        x = [float(group.values["task.length"] or 0) * shift for group in members]
        y = np.array([rate.middle for rate in rates])
        low, high = (np.array([getattr(rate, end) for rate in rates]) for end in ("low", "high"))
        style = _line_style(number) | {"marker": _MARKERS[number % len(_MARKERS)], "markersize": 3.5}
        axes.errorbar(
            x, y, np.clip([y - low, high - y], 0, 1), label=_as_it_stands(name), elinewidth=0.8, capsize=1.5, **style
        )
    axes.set_xticks(sorted({float(group.values["task.length"] or 0) for group in groups}))
    axes.set_ylim(-0.04, 1.04)
    axes.set_xlabel("sequence length $T$")
    axes.set_ylabel("success rate")
    _legend(axes, len(families))


def draw_heatmaps(figure: Figure, heats: Sequence[HeatMap]) -> None:
    """The heat maps of a few runs under one scale."""
    rows, columns = -(-len(heats) // 2), min(2, len(heats))
    panels = figure.subplots(rows, columns, squeeze=False)
    known = np.concatenate([heat.values[np.isfinite(heat.values)] for heat in heats] or [np.zeros(1)])
    limits = {"vmin": float(known.min()), "vmax": float(known.max())} if known.size else {}
    image = None
    for axes, heat in itertools.zip_longest(panels.flat, heats):
        if heat is None:
            axes.axis("off")
            continue
        axes.set_facecolor("0.8")
        mesh = axes.pcolormesh(heat.updates, heat.t, heat.values.T, shading="nearest", rasterized=True, **limits)
        note = axes.annotate(
            _as_it_stands(textwrap.fill(textwrap.shorten(heat.title, 44), 24)),
            (0.03, 0.97),
            xycoords="axes fraction",
            va="top",
            fontsize=5,
            color="white",
            bbox={"facecolor": "0.1", "alpha": 0.65, "pad": 1.5, "linewidth": 0},
        )
        # A long name may extend beyond its panel, but must not move the panels.
        note.set_in_layout(False)
        image = mesh
    figure.supxlabel("update", fontsize=8)
    figure.supylabel("timestep $t$", fontsize=8)
    if image is not None:
        bar = figure.colorbar(image, ax=panels, shrink=0.9, pad=0.02)
        bar.set_label(r"$\log_{10}\,\|\partial L/\partial h_t\|$")
