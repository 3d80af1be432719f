"""Draws docs/figures/growth.svg: time and memory of an update against T, B, H and R, with their fitted exponents.

`python benchmarks/write.py` does it, beside the page that it writes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

KINDS = {"time": ("ms", "ms an update", 1), "memory": ("bytes", "MiB held", 2**20)}
"""What is drawn: its key in a row, its label, and the unit in that of the key."""

Row = dict[str, Any]


def draw(rows: list[Row], path: Path) -> None:
    """A panel for each kind and size, a line for each cell, the exponent beside its name; writes an SVG file."""
    names = list(dict.fromkeys(row["of"] for row in rows))
    with mpl.rc_context({"font.size": 8, "svg.hashsalt": "rnnlab", "svg.fonttype": "none"}):
        figure = Figure(figsize=(2.6 * len(names), 4.8), layout="constrained")
        panels = figure.subplots(len(KINDS), len(names), squeeze=False)
        for line, (kind, (key, label, unit)) in zip(panels, KINDS.items(), strict=True):
            for panel, name in zip(line, names, strict=True):
                for row in (row for row in rows if row["of"] == name):
                    fit = f"{row['cell']}: {name}^{row['exponents'][kind]['all']:.2f}"
                    panel.loglog(row["values"], [value / unit for value in row[key]], marker="o", ms=3, lw=1, label=fit)
                panel.legend(frameon=False)
                panel.set_xlabel(name)
            line[0].set_ylabel(label)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})
