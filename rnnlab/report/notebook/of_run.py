"""One run in a notebook: how it ended, its scores, the gradient against lag at two updates, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator

from rnnlab.compare.measured import verdict_at
from rnnlab.errors import RunFolderError, UsageError
from rnnlab.report.formatting import format_number
from rnnlab.report.notebook.fragments import block, headline, line, table
from rnnlab.report.notebook.of_verdict import verdict_line
from rnnlab.report.notebook.svg import Line, strip_svg
from rnnlab.runs.grids import GradientGrids, Grid
from rnnlab.runs.run import Run

_SCORES = {"training": "", "validation": "eval_", "test": "test_"}


def run_html(run: Run) -> str:
    """The run, with what cannot be read of it in words."""
    return block(_headline(run), *_settings(run), _scores(run), *_gradient(run), line(str(run.path), faint=True))


def _headline(run: Run) -> str:
    reason = run.info.get("reason")
    return headline(run.name, f": {run.status}{f', {reason}' if reason else ''}")


def _settings(run: Run) -> Iterator[str]:
    try:
        settings = run.settings
    except RunFolderError as error:
        yield line(f"without its settings: {error}")
        return
    named = {"cell": "model.cell", "hidden": "model.hidden", "task": "task.name", "T": "task.length", "seed": "seed"}
    shown = [f"{name} {settings[key]}" for name, key in named.items() if settings.get(key) is not None]
    if shown:
        yield line(", ".join(shown))


def _scores(run: Run) -> str:
    result, chance = run.info.get("result") or {}, run.info.get("chance") or {}
    rows = [
        [name, *map(format_number, [*(result.get(f"{before}{name}") for before in _SCORES.values()), chance.get(name)])]
        for name in ("loss", "error")
    ]
    return table(["", *_SCORES, "chance"], rows) if result else ""


def _gradient(run: Run) -> Iterator[str]:
    """The strip of the top layer's h at the first and the last finite update, and what they say."""
    try:
        grid = GradientGrids(run.dir).grid()
    except (RunFolderError, UsageError) as error:
        yield line(str(error))
        return
    rows = list(dict.fromkeys([0, grid.at()]))
    yield line("log10 |dL/dh_t| of the top layer against lag", faint=True)
    yield strip_svg([_line(grid, row) for row in rows], f"gradient of {run.name} against lag")
    yield from (verdict_line(verdict_at(grid, row), f"update {grid.updates[row]}: ") for row in rows)


def _line(grid: Grid, row: int) -> Line:
    return Line.of(*grid.curve(row), f"update {grid.updates[row]}")
