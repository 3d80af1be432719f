"""A verdict in a notebook: its sentences, and the line that it follows from with its interval."""

from __future__ import annotations

import itertools

from rnnlab.analysis.curve import Fit
from rnnlab.analysis.verdict import Verdict
from rnnlab.report.notebook.fragments import block, headline, line
from rnnlab.report.notebook.svg import Line, strip_svg


def verdict_html(verdict: Verdict) -> str:
    """The word, the sentences, and the fitted line over its lags."""
    fits = [fit for fit in verdict.parts or (verdict.fit,) if fit is not None]
    drawn = strip_svg(_fitted(fits), "the fitted line against lag", height=120) if fits else ""
    about = line("the fitted line in decades, 0 at its first lag", faint=True) if fits else ""
    return block(headline(verdict.short, ""), line(verdict.text), drawn, about)


def verdict_line(verdict: Verdict, before: str) -> str:
    """The sentences alone, on a line that begins with a text."""
    return line(f"{before}{verdict.text}")


def _fitted(fits: list[Fit]) -> list[Line]:
    """The lines, each beginning where the one before ended."""
    ends = [0.0, *itertools.accumulate(fit.change for fit in fits)]
    heights = itertools.pairwise(ends)
    return [
        Line.of(fit.window, of, f"lags {fit.window[0]} to {fit.window[1]}")
        for fit, of in zip(fits, heights, strict=True)
    ]
