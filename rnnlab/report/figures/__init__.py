"""Figures for papers: as wide as a column, as vectors, with the data of each as CSV beside it.

data       the data behind each figure
drawing    the drawing of each figure
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnlab.atomic import atomic
from rnnlab.compare.group import MeasuredGroup
from rnnlab.errors import RunFailedError, UsageError, nearest
from rnnlab.report.export import spreadsheet_cell
from rnnlab.report.figures.data import HeatMap, curve_data, heat_data, rate_data, success_data
from rnnlab.report.figures.drawing import (
    GroupLabels,
    draw_gradient,
    draw_heatmaps,
    draw_rates,
    draw_success,
    height_with_legend,
)
from rnnlab.report.findings import Findings
from rnnlab.wording import encodable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST_HEATMAPS = 6
FORMATS = ("svg", "pdf", "png")
# Inches: one column of a two-column page.
WIDTH = 3.3
_STYLE: Mapping[str, Any] = {
    "font.size": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    # Text in a PDF is TrueType and can be edited; in an SVG it is outlines, which need no font.
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    # The same data give the same bytes.
    "svg.hashsalt": "rnnlab",
    "savefig.dpi": 300,
    "figure.constrained_layout.use": True,
}


@dataclass(frozen=True)
class FigurePlan:
    """A figure's name, how it is drawn, and the data behind it."""

    name: str
    height: float
    draw: Callable[[Figure], None]
    data: pd.DataFrame


def check_formats(formats: Sequence[str]) -> None:
    """Raise UsageError where a format is unknown, or the package that draws is not installed."""
    for name in formats:
        if name not in FORMATS:
            near = nearest(name, FORMATS)
            hint = f"; did you mean {near!r}?" if near else ""
            raise UsageError(f"--format {name}: there is no such format{hint} (choices: {', '.join(FORMATS)})")
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("figures are made with matplotlib: pip install 'rnnlab[report]'")


def write_figures(findings: Findings, folder: Path, formats: Sequence[str] = ("pdf",)) -> list[Path]:
    """Write each figure in each format, and its data as CSV; the paths. Raises UsageError where that cannot be."""
    check_formats(formats)
    from matplotlib.figure import Figure

    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for plan in _figures(findings):
            with _style():
                figure = Figure(figsize=(WIDTH, plan.height))
                plan.draw(figure)
                for kind in formats:
                    with _written(folder / f"{plan.name}.{kind}", written) as file:
                        # Without the date: the same data give the same bytes.
                        figure.savefig(file, format=kind, metadata=_UNDATED[kind])
            with _written(folder / f"{plan.name}.csv", written) as file:
                texts = plan.data.map(spreadsheet_cell)
                file.write(encodable(texts.to_csv(index=False, lineterminator="\n")).encode())
    except (OSError, RunFailedError) as error:
        raise UsageError(f"{folder} cannot be written: {error}") from error
    return written


_UNDATED: Mapping[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        yield


@contextmanager
def _written(path: Path, written: list[Path]) -> Iterator[Any]:
    with atomic(path) as file:
        yield file
    written.append(path)


def _figures(findings: Findings) -> Iterator[FigurePlan]:
    """One figure of each kind for each comparison; several comparisons are numbered."""
    for number, (fixed, groups) in enumerate(findings.comparisons, 1):
        suffix = f"-{number}" if len(findings.comparisons) > 1 else ""
        for plan in _figures_of(findings, fixed, groups):
            yield FigurePlan(f"{plan.name}{suffix}", plan.height, plan.draw, plan.data)


def _figures_of(findings: Findings, fixed: Mapping[str, Any], groups: Sequence[MeasuredGroup]) -> Iterator[FigurePlan]:
    names = GroupLabels(findings, groups)
    lines = [group for group in groups if group.curve is not None]
    if lines:
        height = height_with_legend(2.2, [names.of(group) for group in lines])
        yield FigurePlan("gradient", height, lambda figure: draw_gradient(figure, lines, names), curve_data(lines))
    rated = [group for group in groups if group.rate is not None]
    if rated:
        height = 0.75 + 0.17 * len(rated)
        yield FigurePlan("rates", height, lambda figure: draw_rates(figure, rated, names), rate_data(rated))
    if len({group.values.get("task.length") for group in groups if group.ended}) > 1:
        ended = [group for group in groups if group.ended]
        yield FigurePlan(
            "success",
            height_with_legend(2.2, sorted({names.without_length(group) for group in ended})),
            lambda figure: draw_success(figure, ended, names),
            success_data(ended),
        )
    candidates = (HeatMap.of(findings.groups, group, names.of(group)) for group in lines[:MOST_HEATMAPS])
    if heats := [heat for heat in candidates if heat is not None]:
        rows = -(-len(heats) // 2)
        yield FigurePlan("heatmaps", 0.5 + 1.35 * rows, lambda figure: draw_heatmaps(figure, heats), heat_data(heats))
