"""Runs, groups and verdicts as HTML for a notebook: static, self-contained, in the colours of the reader's theme.

fragments   texts, facts and tables, everything escaped
svg         curves as SVG
of_verdict  a verdict
of_run      one run
of_runs     several runs
of_groups   groups of runs
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rnnlab.analysis.verdict import Verdict
from rnnlab.compare.collection import Runs
from rnnlab.compare.groups import Groups, MeasuredGroups
from rnnlab.report.notebook.of_groups import groups_html, measured_html
from rnnlab.report.notebook.of_run import run_html
from rnnlab.report.notebook.of_runs import runs_html
from rnnlab.report.notebook.of_verdict import verdict_html
from rnnlab.runs.run import Run

SHOWN: Mapping[type, Callable[[Any], str]] = {
    Verdict: verdict_html,
    Run: run_html,
    Runs: runs_html,
    Groups: groups_html,
    MeasuredGroups: measured_html,
}
"""What each class is shown by."""


def html_of(shown: object) -> str:
    """The object as one HTML element, without a script. Raises TypeError for what is none of these."""
    for kind, write in SHOWN.items():
        if isinstance(shown, kind):
            return write(shown)
    raise TypeError(f"{type(shown).__name__} is not shown in a notebook")
