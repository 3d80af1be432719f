"""Figures for papers: as wide as a column or a page, as vectors, each with its data as CSV and its command beside it.

data       the data behind each figure
panels     where each group is drawn
canvas     fonts, colours, panels, titles and legends
drawing    the drawing of each figure
probe_figures  those of probes
plans      which figures there are, each with its panels and data
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rnnlab.atomic import atomic
from rnnlab.errors import RunFailedError, UsageError, nearest
from rnnlab.report.export import spreadsheet_cell
from rnnlab.report.figures.canvas import house_style
from rnnlab.report.figures.panels import SIZES
from rnnlab.report.figures.plans import FigureOptions, FigurePlan, plans
from rnnlab.report.findings import Findings
from rnnlab.wording import encodable

__all__ = ["FigureOptions", "check_formats", "check_width", "write_figures"]

FORMATS = ("svg", "pdf", "png")


def check_formats(formats: Sequence[str]) -> None:
    """Raise UsageError where a format is unknown, or the package that draws is not installed."""
    for name in formats:
        if name not in FORMATS:
            near = nearest(name, FORMATS)
            hint = f"; did you mean {near!r}?" if near else ""
            raise UsageError(f"--format {name}: there is no such format{hint} (choices: {', '.join(FORMATS)})")
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("figures are made with matplotlib: pip install 'rnnlab[report]'")


def check_width(name: str) -> None:
    """Raise UsageError where no journal has such a width."""
    if name not in SIZES:
        near = nearest(name, SIZES)
        hint = f"; did you mean {near!r}?" if near else ""
        raise UsageError(f"--width {name}: there is no such width{hint} (choices: {', '.join(SIZES)})")


def write_figures(
    findings: Findings,
    folder: Path,
    formats: Sequence[str] = ("pdf",),
    options: FigureOptions | None = None,
    command: str = "",
    notify: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write each figure in each format, its data as CSV, and the command that makes it again; the paths.

    `notify` is told what does not fit into a figure, with the option that helps. Raises UsageError where a figure
    cannot be written.
    """
    check_formats(formats)
    options = options or FigureOptions()
    check_width(options.width)
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for plan in plans(findings, options):
            written += _write(plan, folder, formats, command)
            if plan.omitted and notify:
                notify(f"{plan.name} leaves out {'; and '.join(plan.omitted)}")
    except (OSError, RunFailedError) as error:
        raise UsageError(f"{folder} cannot be written: {error}") from error
    return written


def _write(plan: FigurePlan, folder: Path, formats: Sequence[str], command: str) -> list[Path]:
    from matplotlib.figure import Figure

    written: list[Path] = []
    with house_style():
        figure = Figure(figsize=(plan.width, plan.height))
        plan.draw(figure)
        for kind in formats:
            with _written(folder / f"{plan.name}.{kind}", written) as file:
                # Without the date: the same data give the same bytes.
                figure.savefig(file, format=kind, metadata=_UNDATED[kind])
    with _written(folder / f"{plan.name}.csv", written) as file:
        texts = plan.data.map(spreadsheet_cell)
        file.write(encodable(texts.to_csv(index=False, lineterminator="\n")).encode())
    if command:
        with _written(folder / f"{plan.name}.sh", written) as file:
            said = f"# {plan.name}: {plan.described or 'one line'}\n"
            file.write(encodable(f"{said}{command}\n").encode())
    return written


_UNDATED: Mapping[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}


@contextmanager
def _written(path: Path, written: list[Path]) -> Iterator[Any]:
    with atomic(path) as file:
        yield file
    written.append(path)
