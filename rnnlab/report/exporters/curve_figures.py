"""Curves of log10 norm against lag as pictures: one for each layer and state, the updates from dark to light."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np

from rnnlab.report.exporters.content import RunContent
from rnnlab.report.figures.canvas import as_it_stands, house_style
from rnnlab.report.page.encoding import evenly
from rnnlab.runs.grids import Grid

_MOST_UPDATES = 8
_SIZE = (4.6, 3.0)
_DOTS = 130


def curve_figures(content: RunContent) -> Iterator[tuple[str, bytes]]:
    """`gradient/layer0/h` and so on, each with a PNG of its curves at up to eight updates."""
    for name, grid in content.grids.items():
        yield f"gradient/{name}", _png(content.name, name, grid)


def _png(run: str, name: str, grid: Grid) -> bytes:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    written = io.BytesIO()
    with house_style():
        figure = Figure(figsize=_SIZE)
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        shown = evenly(len(grid.updates), _MOST_UPDATES)
        for row, place in zip(shown, np.linspace(0, 0.85, len(shown)), strict=True):
            lags, norms = grid.curve(int(row))
            finite = np.where(np.isfinite(norms), norms, np.nan)
            axes.plot(lags, finite, color=mpl.colormaps["viridis"](place), label=f"update {grid.updates[row]}")
        axes.set_xlabel("lag (timesteps)")
        axes.set_ylabel(as_it_stands(f"log10 |dL/d{name.rpartition('/')[2]}_t|"))
        axes.set_title(as_it_stands(f"{run}, {name}"))
        axes.legend()
        # Without the version: the same data give the same bytes.
        figure.savefig(written, format="png", dpi=_DOTS, metadata={"Software": None})
    return written.getvalue()
