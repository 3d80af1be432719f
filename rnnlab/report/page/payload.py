"""The content of a page: the texts of its HTML, and the data of its charts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnlab import __version__
from rnnlab.analysis.intervals import Interval
from rnnlab.compare.group import MeasuredGroup
from rnnlab.compare.measured import median_curve
from rnnlab.report.channels import Asked, Channels, channels, combination, combinations, text_of
from rnnlab.report.findings import Findings
from rnnlab.report.formatting import format_count, format_interval, format_number, format_setting, format_signed
from rnnlab.report.headings import HEADINGS, label, numbers, values_of
from rnnlab.report.page.encoding import envelope, evenly, pack_decades
from rnnlab.report.page.probe_charts import probes_data
from rnnlab.report.page.run import Reading, Size, Thinned, run_data
from rnnlab.runs.run_json import now

_SLIDER_POSITIONS = 24
_CURVE_POINTS = 120
_TRAINING = ("loss", "error", "eval_loss", "eval_error")


def payload(
    findings: Findings, thinned: Thinned | None = None, asked: Asked | None = None, title: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The data of the charts, and the texts of the HTML.

    Without `thinned` the gradients are read again. `asked` and `title` are what the user says of the charts.
    """
    groups, names = findings.groups, findings.names
    if thinned is None:
        thinned = Thinned(groups)
        groups.measure(findings.measured.at, findings.measured.success, thinned.add)
    size = thinned.size
    chosen = channels(findings, findings.measured, asked or Asked(), findings.axes)
    # In the order of their groups.
    runs = groups.runs
    group_of = [number for number, group in enumerate(findings.measured) for _ in group.runs]
    readings = thinned.readings(findings.measured)
    positions = _positions([*readings.values()], findings.measured.at)
    place = {run.path: at for at, run in enumerate(runs)}
    data = {
        "keys": [names[axis.key] for axis in findings.axes],
        "positions": positions,
        "start": _start(positions, findings.measured.at),
        "groups": [
            _group(group, findings, readings, positions, place) | _looks(findings, chosen, group)
            for group in findings.measured
        ],
        "probes": probes_data(findings),
        "runs": [
            run_data(
                run, groups.name_of(run), readings[run.path], group, groups.differing, size, heat=size.has_heat(number)
            )
            for number, (run, group) in enumerate(zip(runs, group_of, strict=True))
        ],
    }
    texts = _texts(findings, size) | {"probes": bool(data["probes"])}
    return data, texts | ({"title": title} if title else {})


def _looks(findings: Findings, chosen: Channels, group: MeasuredGroup) -> dict[str, Any]:
    """Where and how a group is drawn: the positions of its values among those that colours and dashes show."""
    color, dash = (
        combinations(findings.measured, axes).index(combination(group, axes)) for axes in (chosen.color, chosen.style)
    )
    return {"color": color, "dash": dash, "panel": text_of(group, chosen.facet, findings.names)}


def _positions(readings: Sequence[Reading], at: int | None) -> list[int]:
    """The updates of the slider's positions."""
    known = [np.asarray(reading.updates) for reading in readings if reading.updates is not None]
    if not known:
        return []
    updates = np.unique(np.concatenate(known))
    chosen = {int(update) for update in updates[evenly(len(updates), _SLIDER_POSITIONS)]}
    if at is not None:
        chosen.add(int(updates[np.abs(updates - at).argmin()]))
    return sorted(chosen)


def _start(positions: Sequence[int], at: int | None) -> int:
    """The first position of the slider; the one after the last update means each run's last finite update."""
    return len(positions) if at is None or not positions else int(np.argmin(np.abs(np.array(positions) - at)))


def _group(
    group: MeasuredGroup,
    findings: Findings,
    readings: dict[Path, Reading],
    positions: Sequence[int],
    place: dict[Path, int],
) -> dict[str, Any]:
    figures = numbers(group)
    return {
        "label": label(group, findings.axes),
        "values": values_of(group, findings.axes),
        "runs": [place[run.path] for run in group.runs],
        "rate": _interval(group.rate),
        "success": {"k": figures["successes"], "n": figures["ended"], **_interval(group.success)},
        "length": _length(group),
        "rest": label(group, [axis for axis in findings.axes if axis.key != "task.length"]),
        "curves": _curves(group, readings, positions),
        "training": _training(group, readings),
    }


def _interval(interval: Interval | None) -> dict[str, Any]:
    if interval is None:
        return {"middle": None, "low": None, "high": None, "points": []}
    values = {"middle": interval.middle, "low": interval.low, "high": interval.high}
    return values | {"points": list(interval.values)}


def _length(group: MeasuredGroup) -> float | None:
    value = group.runs[0].settings.get("task.length")
    return float(value) if isinstance(value, (int, float)) else None


def _curves(group: MeasuredGroup, readings: dict[Path, Reading], positions: Sequence[int]) -> list[dict[str, Any]]:
    """Median and band at each position of the slider, then those of each run's last finite reading."""
    members = [reading for run in group.runs if (reading := readings[run.path]).updates is not None]
    if not members:
        return []
    curves = []
    for position in (*positions, None):
        median = median_curve([reading.curve(position) for reading in members])
        places = envelope(median.median, _CURVE_POINTS)
        values = np.stack([median.median, median.low, median.high])[:, places]
        # NaN in the band means that there is no interval, and not underflow.
        recorded = np.stack([np.ones(len(places), bool), *np.isfinite(values[1:])])
        has_band = bool(recorded[1].any())
        rows = 3 if has_band else 1
        packed = pack_decades(values[:rows], recorded[:rows])
        theory = [
            {"name": line.name, "values": line.beside(median)[places[[0, -1]]].tolist()}
            for line in group.theory_at(position)
        ]
        lags = median.lags[places].tolist()
        curves.append({"lags": lags, "values": packed, "runs": len(members), "theory": theory})
    return curves


def _training(group: MeasuredGroup, readings: dict[Path, Reading]) -> dict[str, Any]:
    """For each series of metrics.csv, by update: the median, the smallest and the largest value over the runs."""
    series: dict[str, Any] = {}
    for name in _TRAINING:
        lines = [
            (metrics["update"][known], metrics[name][known])
            for run in group.runs
            if (metrics := readings[run.path].metrics) is not None and (known := np.isfinite(metrics[name])).any()
        ]
        if lines:
            series[name] = _spread(lines)
    return series


def _spread(lines: Sequence[tuple[Any, Any]]) -> dict[str, Any]:
    """Over the updates of all runs; a run that has ended keeps its last value."""
    updates = np.unique(np.concatenate([update for update, _ in lines]))
    updates = updates[evenly(len(updates), _CURVE_POINTS)]
    table = np.stack([value[np.searchsorted(update, updates, side="right").clip(1) - 1] for update, value in lines])
    curves = {"median": np.median(table, 0), "low": table.min(0), "high": table.max(0)}
    rows = {name: [float(f"{value:.5g}") for value in row] for name, row in curves.items()}
    return {"updates": updates.astype(int).tolist(), **rows}


def _texts(findings: Findings, size: Size) -> dict[str, Any]:
    groups, names = findings.groups, findings.names
    rows = [
        {
            "keys": values_of(group, findings.axes),
            "cells": [{"text": heading.cell(group), "sort": _sortable(heading.cell(group))} for heading in HEADINGS],
        }
        for group in findings.measured
    ]
    known = [pair for pair in findings.pairs if pair.comparison.difference.low is not None]
    pairs = [
        {
            "names": f"{format_setting(pair.second)} less {format_setting(pair.first)}",
            "rest": ", ".join(f"{names[key]} {format_setting(value)}" for key, value in pair.rest.items()),
            "difference": format_signed(pair.comparison.difference.middle),
            "between": format_interval(pair.comparison.difference),
            "effect": format_number(pair.comparison.effect, 2),
            "seeds": len(pair.comparison.seeds),
            "word": pair.comparison.word,
        }
        for pair in known
    ]
    return {
        "title": f"{format_count(len(groups.runs), 'run')} in {format_count(len(groups), 'group')}",
        "by": ", ".join(names[axis.key] for axis in groups.axes),
        "at": findings.update_text(),
        "version": __version__,
        "made": now()[:16].replace("T", " "),
        "key_titles": [(names[axis.key], axis.key) for axis in findings.axes],
        "headings": [(heading.name, heading.meaning) for heading in HEADINGS],
        "rows": rows,
        "pairs": pairs,
        "notes": [*findings.notes(), *size.notes()],
    }


def _sortable(cell: str) -> str:
    """The sort key of a cell: its first number, without the sign `>`."""
    first = cell.replace(">", "").replace("%", "").replace(",", " ").split("/")[0].split()
    return first[0] if first else ""
