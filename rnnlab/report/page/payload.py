"""What a page is made of: the texts that stand in its HTML, and the data that its charts draw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnlab import __version__
from rnnlab.curves import median_curve
from rnnlab.group import MeasuredGroup
from rnnlab.intervals import Interval
from rnnlab.report.findings import Findings, between, label, numbers, signed, value_text
from rnnlab.report.page.packing import envelope, evenly, pack_decades
from rnnlab.report.page.runs import Reading, Size, Thinned, run_data
from rnnlab.report.terminal import figure
from rnnlab.rundir import now

_MOST_POSITIONS = 24
_CURVE_POINTS = 120
_TRAINING = ("loss", "error", "eval_loss", "eval_error")


def payload(found: Findings, thinned: Thinned | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The data of the charts, and the texts of the HTML.

    Where nobody thinned the gradients when the findings were measured, they are read again.
    """
    groups, names = found.groups, found.key_names
    if thinned is None:
        thinned = Thinned(groups)
        groups.measure(found.measured.at, found.measured.success, thinned.add)
    size = thinned.size
    # They stand in the order of their groups.
    runs = groups.runs
    group_of = [number for number, group in enumerate(found.measured) for _ in group.runs]
    readings = thinned.readings(found.measured)
    positions = _positions([one for one in readings.values() if one.updates is not None], found.measured.at)
    place = {run.path: at for at, run in enumerate(runs)}
    data = {
        "keys": [names[key] for key in (*groups.also, *groups.by)],
        "positions": positions,
        "start": _start(positions, found.measured.at),
        "groups": [_group(group, found, readings, positions, place) for group in found.measured],
        "runs": [
            run_data(
                run, groups.name_of(run), readings[run.path], group, groups.differing, size, heat=size.has_heat(number)
            )
            for number, (run, group) in enumerate(zip(runs, group_of, strict=True))
        ],
    }
    return data, _shown(found, size)


def _positions(readings: Sequence[Reading], at: int | None) -> list[int]:
    """The updates that the slider stops at."""
    known = [np.asarray(one.updates) for one in readings]
    if not known:
        return []
    updates = np.unique(np.concatenate(known))
    chosen = {int(update) for update in updates[evenly(len(updates), _MOST_POSITIONS)]}
    if at is not None:
        chosen.add(int(updates[np.abs(updates - at).argmin()]))
    return sorted(chosen)


def _start(positions: Sequence[int], at: int | None) -> int:
    """Where the slider stands at first; behind its last update it says: each run's last finite one."""
    return len(positions) if at is None or not positions else int(np.argmin(np.abs(np.array(positions) - at)))


def _group(
    group: MeasuredGroup,
    found: Findings,
    readings: dict[Path, Reading],
    positions: Sequence[int],
    place: dict[Path, int],
) -> dict[str, Any]:
    about = numbers(group)
    keys = (*found.groups.also, *found.groups.by)
    return {
        "label": label(group, keys),
        "values": [value_text(group.values[key]) for key in keys],
        "runs": [place[run.path] for run in group.runs],
        "rate": _interval(group.rate),
        "success": {"k": about["successes"], "n": about["ended"], **_interval(group.success)},
        "length": _length(group),
        "rest": ", ".join(value_text(group.values[key]) for key in keys if key != "task.length") or "all runs",
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
    """Median and band at each position of the slider, and last of each run's last finite reading."""
    members = [one for run in group.runs if (one := readings[run.path]).updates is not None]
    if not members:
        return []
    curves = []
    for position in (*positions, None):
        found = median_curve([one.curve(position) for one in members])
        kept = envelope(found.median, _CURVE_POINTS)
        three = np.stack([found.median, found.low, found.high])[:, kept]
        # Without an interval NaN means just that, and not underflow.
        there = np.stack([np.ones(len(kept), bool), *np.isfinite(three[1:])])
        has_band = bool(there[1].any())
        rows = 3 if has_band else 1
        packed = pack_decades(three[:rows], there[:rows])
        curves.append({"lags": found.lags[kept].tolist(), "values": packed, "runs": len(members)})
    return curves


def _training(group: MeasuredGroup, readings: dict[Path, Reading]) -> dict[str, Any]:
    """Of each series of metrics.csv: the median over the runs by update, and from where to where they go."""
    series: dict[str, Any] = {}
    for name in _TRAINING:
        lines = [
            (one.metrics["update"][known], one.metrics[name][known])
            for run in group.runs
            if (one := readings[run.path]).metrics is not None and (known := np.isfinite(one.metrics[name])).any()
        ]
        if lines:
            series[name] = _spread(lines)
    return series


def _spread(lines: Sequence[tuple[Any, Any]]) -> dict[str, Any]:
    """Over the updates that any of the runs has; a run that has ended keeps its last value."""
    updates = np.unique(np.concatenate([update for update, _ in lines]))
    updates = updates[evenly(len(updates), _CURVE_POINTS)]
    table = np.stack([value[np.searchsorted(update, updates, side="right").clip(1) - 1] for update, value in lines])
    three = {"median": np.median(table, 0), "low": table.min(0), "high": table.max(0)}
    rows = {name: [float(f"{value:.5g}") for value in row] for name, row in three.items()}
    return {"updates": updates.astype(int).tolist(), **rows}


def _shown(found: Findings, size: Size) -> dict[str, Any]:
    groups, names = found.groups, found.key_names
    keys = (*groups.also, *groups.by)
    headings = found.headings()
    rows = [
        {
            "keys": [value_text(group.values[key]) for key in keys],
            "cells": [{"text": one.cell(group), "sort": _sortable(one.cell(group))} for one in headings],
        }
        for group in found.measured
    ]
    known = [pair for pair in found.pairs if pair.found.difference.low is not None]
    pairs = [
        {
            "who": f"{value_text(pair.second)} less {value_text(pair.first)}",
            "rest": ", ".join(f"{names[key]} {value_text(value)}" for key, value in pair.rest.items()),
            "difference": signed(pair.found.difference.middle),
            "between": between(pair.found.difference),
            "effect": figure(pair.found.effect, 2),
            "seeds": len(pair.found.seeds),
            "word": pair.found.word,
        }
        for pair in known
    ]
    runs, many = len(groups.runs), len(groups)
    return {
        "title": f"{runs:,} run{'s' * (runs != 1)} in {many:,} group{'s' * (many != 1)}",
        "by": ", ".join(groups.by),
        "at": found.at_what(),
        "version": __version__,
        "made": now()[:16].replace("T", " "),
        "key_titles": [(names[key], key) for key in keys],
        "headings": [(one.name, one.meaning) for one in headings],
        "rows": rows,
        "pairs": pairs,
        "notes": [*found.notes(), *size.notes()],
    }


def _sortable(cell: str) -> str:
    """What a column is sorted by: the first number of a cell, without the sign that says more than."""
    first = cell.replace(">", "").replace("%", "").replace(",", " ").split("/")[0].split()
    return first[0] if first else ""
