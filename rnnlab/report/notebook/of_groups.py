"""Groups of runs in a notebook: a row each with the figures of a report, and the median gradient against lag."""

from __future__ import annotations

import dataclasses

from rnnlab.compare.group import MeasuredGroup
from rnnlab.compare.groups import Groups, MeasuredGroups
from rnnlab.errors import UsageError
from rnnlab.report.findings import Findings
from rnnlab.report.formatting import format_count
from rnnlab.report.headings import HEADINGS, short_names, values_of
from rnnlab.report.notebook.fragments import MOST_ROWS, Html, block, headline, line, more, notes, table
from rnnlab.report.notebook.svg import Line, sparklines


def groups_html(groups: Groups) -> str:
    """The groups at each run's last finite update, up to MOST_ROWS; no others are read."""
    return _html(groups, None, None)


def measured_html(measured: MeasuredGroups) -> str:
    """The groups at the update that they were measured at."""
    return _html(measured.groups, measured.at, measured.success)


def _html(groups: Groups, at: int | None, success: str | None) -> str:
    shown = dataclasses.replace(groups, groups=groups.groups[:MOST_ROWS])
    measured, noted = _measured(shown, at, success)
    axes = (*groups.also_axes, *groups.axes)
    names = short_names([axis.key for axis in axes])
    titles = [*(names[axis.key] for axis in axes), "log10 |dL/dh_t| by lag", *(heading.name for heading in HEADINGS)]
    drawn = sparklines([_curve(group) for group in measured])
    rows: list[list[str | Html]] = [
        [*values_of(group, axes), curve, *(heading.cell(group) for heading in HEADINGS)]
        for group, curve in zip(measured, drawn, strict=True)
    ]
    cut = more(len(groups) - len(shown), "group", "`.where(...)` on the runs chooses")
    by = f" by {', '.join(groups.by)}" if groups.by else ""
    heads = [headline(format_count(len(groups), "group"), f" of {format_count(len(groups.runs), 'run')}{by}")]
    return block(*heads, table(titles, rows, left=len(axes) + 1), cut, *noted)


def _measured(groups: Groups, at: int | None, success: str | None) -> tuple[MeasuredGroups, list[str]]:
    """The groups measured; and what a report would note, with the update at which the figures were read."""
    try:
        findings = Findings(groups, at, success)
    except UsageError as error:
        return groups.measure(at, success), [notes([str(error)])]
    read = line(f"read {findings.update_text()}; rates in decades per 100 timesteps", faint=True)
    return findings.measured, [read, notes(findings.notes())]


def _curve(group: MeasuredGroup) -> Line | None:
    """The median curve; None where no run recorded a gradient."""
    return None if group.curve is None else Line.of(group.curve.lags, group.curve.median)
