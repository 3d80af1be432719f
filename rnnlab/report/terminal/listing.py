"""Runs as a list, and the settings and origin of one run, for a terminal."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from rnnlab.compare.axes import Axis, axes_of, with_names, with_options
from rnnlab.compare.group_keys import differing_keys, needed_keys
from rnnlab.compare.measured import final_error
from rnnlab.errors import RunFolderError
from rnnlab.report.formatting import format_number, format_setting, printable
from rnnlab.report.headings import short_names
from rnnlab.report.terminal.summary import COLOURS
from rnnlab.wording import shortened

if TYPE_CHECKING:
    from rnnlab.compare.collection import Runs
    from rnnlab.runs.run import Run

_MOST_KEYS = 6
_FIXED = 5
"""Columns that are no settings."""
_SHORTEST_NAME = 9


def rows(runs: Runs, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A run as data: name, status, verdict, figures, and these settings."""
    for run in runs:
        verdict, result = run.info.get("verdict") or {}, run.info.get("result") or {}
        yield {
            "name": runs.name_of(run),
            "status": run.status,
            "reason": run.info.get("reason") or "",
            "sweep": run.info.get("sweep"),
            "updates": run.info.get("updates"),
            "verdict": verdict.get("short", verdict.get("word")),
            "rate": (verdict.get("fit") or {}).get("rate"),
            "error": final_error(result),
            "settings": {key: _settings(run).get(key) for key in keys},
        }


def key_settings(runs: Runs) -> list[str]:
    """The settings that distinguish the runs, with the seed; those that follow from others are left out."""
    table = [_settings(run) for run in runs]
    seeds = {settings.get("seed") for settings in table}
    return [*needed_keys(table), *(["seed"] if len(seeds) > 1 else [])]


def _settings(run: Run) -> dict[str, Any]:
    try:
        return run.settings
    except RunFolderError:
        return {}


def listing(runs: Runs, width: int = 80, *, unicode: bool = True) -> RenderableType:
    """A line a run, for a terminal of this width: name, status, verdict, rate, error, and settings that differ.

    Where that is too wide, the remark on a verdict goes first, then settings from the last one on; a name is cut last.
    """
    lines, hidden = fitted(lines_of(runs), width)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    titles, *cells = lines
    for title in titles:
        justify: Literal["left", "right"] = "right" if title in ("rate", "error") else "left"
        table.add_column(printable(title, unicode), justify=justify, no_wrap=True, overflow="crop")
    for row in cells:
        colours = ["", *(COLOURS.get(cell.partition(" (")[0], "") for cell in row[1:3])]
        styled = itertools.zip_longest((printable(cell, unicode) for cell in row), colours, fillvalue="")
        table.add_row(*(Text(cell, style) for cell, style in styled))
    return Group(table, Text(_more_settings(hidden), style="dim")) if hidden else table


def plain_listing(runs: Runs) -> Iterator[str]:
    """The same for a file or a pipe: nothing is cut."""
    lines, hidden = fitted(lines_of(runs), None)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(printable(cell).ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
    if hidden:
        yield _more_settings(hidden)


def fitted(lines: Sequence[Sequence[str]], width: int | None) -> tuple[list[list[str]], int]:
    """The lines, the first of which has the titles, in so many characters, and how many settings are left out.

    >>> titles = ["run", "status", "verdict", "rate", "error", "cell"]
    >>> lines = [titles, ["a-long-name", "completed", "dead", "-", "1", "rnn"]]
    >>> fitted(lines, 45)
    ([['run', 'status', 'verdict', 'rate', 'error'], ['a-long-name', 'completed', 'dead', '-', '1']], 1)
    >>> fitted(lines, 41)[0][1][0]
    'a-lo..ame'
    """
    shown = len(lines[0])
    kept = min(shown, _FIXED + _MOST_KEYS)
    rows = [list(line[:kept]) for line in lines]
    if width is not None:
        if _width(rows) > width:
            rows = [[*row[:2], row[2].partition(" (")[0], *row[3:]] for row in rows]
        while _width(rows) > width and len(rows[0]) > _FIXED:
            rows = [row[:-1] for row in rows]
        excess = _width(rows) - width
        longest = max(max(len(row[0]) for row in rows) - max(excess, 0), _SHORTEST_NAME)
        rows = [[_without_middle(row[0], longest), *row[1:]] for row in rows]
    return rows, shown - len(rows[0])


def _width(rows: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) + 2 for column in zip(*rows, strict=True)) - 2


def _without_middle(name: str, most: int) -> str:
    """The name in so many characters: its end has the seed."""
    if len(name) <= most:
        return name
    end = (most - 2) // 2
    return f"{name[: most - 2 - end]}..{name[len(name) - end :]}"


def lines_of(runs: Runs) -> list[list[str]]:
    """The titles, and the cells of each run: name, status, verdict, rate, error, and all settings that differ."""
    keys = key_settings(runs)
    table = [_settings(run) for run in runs]
    axes = axes_of(with_options(with_names(keys, table), table, differing_keys(table)), table)
    names = short_names([axis.key for axis in axes])
    titles = ["run", "status", "verdict", "rate", "error", *(names[axis.key] for axis in axes)]
    return [titles, *(_cells(row, settings, axes) for row, settings in zip(rows(runs, ()), table, strict=True))]


def _more_settings(hidden: int) -> str:
    return f"they differ in {hidden} more setting{'s' * (hidden != 1)}; --json has all"


def _cells(row: dict[str, Any], settings: dict[str, Any], axes: Sequence[Axis]) -> list[str]:
    rate = "-" if row["rate"] is None else f"{float(row['rate']):+.1f}"
    values = (format_setting(axis.value(settings)) for axis in axes)
    return [row["name"], str(row["status"]), str(row["verdict"] or "-"), rate, format_number(row["error"]), *values]


def details(run: Run, *, unicode: bool = True) -> RenderableType:
    """A run's settings, where it comes from, and the command that repeats it."""
    table = Table(Column(overflow="fold"), Column(overflow="fold"), box=None, show_header=False, pad_edge=False)
    for key, value in _facts(run, unicode):
        table.add_row(Text(key, style="dim"), Text(value))
    return table


def plain_details(run: Run, *, unicode: bool = True) -> str:
    """The same for a file or a pipe: a line each."""
    facts = list(_facts(run, unicode))
    width = max(len(key) for key, _ in facts)
    return "\n".join(f"{key:<{width}}  {value}".rstrip() for key, value in facts)


def _facts(run: Run, unicode: bool) -> Iterator[tuple[str, str]]:
    settings = ((key, format_setting(value)) for key, value in _settings(run).items())
    for key, value in (*_origin(run), *settings):
        yield printable(key, unicode), printable(shortened(value, 1000), unicode)


def _origin(run: Run) -> Iterator[tuple[str, str]]:
    info = run.info
    git = info.get("git") or {}
    if versions := info.get("versions"):
        yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items())
    if git:
        yield "commit", f"{git.get('commit')}{' (with changes)' if git.get('dirty') else ''}"
    for file in info.get("data") or []:
        yield "data", " ".join(str(value) for value in file.values()) if isinstance(file, dict) else str(file)
    if command := info.get("command"):
        yield "command", shlex.join(map(str, command))
    if run.dir.config.exists():
        yield "repeat", repeat_command(run)


def repeat_command(run: Run) -> str:
    """The command that trains the run again from its own config, under a new name."""
    config = run.dir.config
    out = [] if run.path.parent == Path("runs") else ["--out", str(run.path.parent)]
    return shlex.join(["rnnlab", "train", "--config", str(config), "--name", f"{run.name}-again", *out])
