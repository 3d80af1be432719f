"""Several runs in a notebook: a row each, as `rnnlab ls` lists them, with its gradient against lag."""

from __future__ import annotations

from rnnlab.compare.collection import Runs
from rnnlab.errors import RunFolderError, UsageError
from rnnlab.report.formatting import format_count
from rnnlab.report.notebook.fragments import MOST_ROWS, Html, block, headline, more, notes, table
from rnnlab.report.notebook.svg import Line, sparklines
from rnnlab.report.terminal.listing import fitted, lines_of
from rnnlab.runs.cache import map_in_threads
from rnnlab.runs.grids import GradientGrids
from rnnlab.runs.run import Run


def runs_html(runs: Runs) -> str:
    """A row a run, up to MOST_ROWS, and the runs that could not be read."""
    left_out = notes([f"left out: {name}: {reason}" for name, reason in runs.left_out.items()])
    if not len(runs):
        return block(headline("no runs", f": {runs.unmet}" if runs.unmet else ""), left_out)
    (titles, *rows), _ = fitted(lines_of(runs), None)
    drawn = sparklines(map_in_threads(_curve, runs[:MOST_ROWS]))
    shown: list[list[str | Html]] = [[*row[:3], curve, *row[3:]] for row, curve in zip(rows, drawn, strict=False)]
    titles = [*titles[:3], "log10 |dL/dh_t| by lag", *titles[3:]]
    cut = more(len(runs) - len(shown), "run", "`.where(...)` chooses")
    return block(headline(format_count(len(runs), "run"), ""), table(titles, shown, left=4), cut, left_out)


def _curve(run: Run) -> Line | None:
    """The last finite curve of a run; None where there is none, which its verdict says."""
    try:
        grid = GradientGrids(run.dir).grid()
    except (RunFolderError, UsageError):
        return None
    return Line.of(*grid.curve(grid.at()))
