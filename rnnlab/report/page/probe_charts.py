"""What probes measured, on the page: a chart for each of their quantities."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlab.compare.probe_series import Floats, Spread
from rnnlab.probes import Chart
from rnnlab.report.findings import Findings
from rnnlab.report.page.encoding import envelope
from rnnlab.report.probe_sections import Section

_POINTS = 120


def probes_data(findings: Findings) -> list[dict[str, Any]]:
    """A probe each: its name, what it measures, and its charts."""
    return [
        {
            "name": section.name,
            "meaning": section.meaning,
            "charts": [_chart(section, chart) for chart in section.charts],
        }
        for section in findings.charted_probes
    ]


def _chart(section: Section, chart: Chart) -> dict[str, Any]:
    """A chart: its axes, and for each layer and part the lines of the groups."""
    return {
        "heading": chart.heading,
        "x": section.x_label(chart),
        "log": section.is_logarithmic(chart),
        "places": [
            {
                "name": place.text(section.layers),
                "lines": [
                    {"group": number, **_line(series.drawn)}
                    for number in range(len(section.series))
                    if (series := section.of(chart, place, number)) is not None
                ],
            }
            for place in section.places(chart)
        ],
    }


def _line(spread: Spread) -> dict[str, Any]:
    """Its points; None for what is no finite number."""
    places = envelope(spread.median, _POINTS)
    rows = {name: _rounded(getattr(spread, name)[places]) for name in ("median", "low", "high")}
    return {"x": spread.x[places].tolist(), "runs": int(spread.runs.max()), **rows}


def _rounded(values: Floats) -> list[float | None]:
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in values]
