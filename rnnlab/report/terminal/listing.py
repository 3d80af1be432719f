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

from rnnlab.compare.group_keys import needed_keys
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


def listing(runs: Runs, *, unicode: bool = True) -> RenderableType:
    """A line a run: name, status, verdict, rate, error, and the settings in which the runs differ."""
    keys = key_settings(runs)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in _titles(keys):
        justify: Literal["left", "right"] = "right" if title in ("rate", "error") else "left"
        folds = title not in ("status", "verdict", "rate", "error")
        table.add_column(printable(title, unicode), justify=justify, no_wrap=not folds, overflow="fold")
    for row in rows(runs, keys):
        colours = ["", *(COLOURS.get(str(row[name]).partition(" (")[0], "") for name in ("status", "verdict"))]
        cells = [printable(cell, unicode) for cell in _cells(row, keys[:_MOST_KEYS])]
        table.add_row(*(Text(cell, style) for cell, style in itertools.zip_longest(cells, colours, fillvalue="")))
    return Group(table, Text(rest, style="dim")) if (rest := _more_settings(keys)) else table


def plain_listing(runs: Runs) -> Iterator[str]:
    """The same for a file or a pipe: no cell is folded."""
    keys = key_settings(runs)
    lines = [_titles(keys), *(_cells(row, keys[:_MOST_KEYS]) for row in rows(runs, keys))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(printable(cell).ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
    if rest := _more_settings(keys):
        yield rest


def _titles(keys: Sequence[str]) -> list[str]:
    names = short_names(keys[:_MOST_KEYS])
    return ["run", "status", "verdict", "rate", "error", *(names[key] for key in keys[:_MOST_KEYS])]


def _more_settings(keys: Sequence[str]) -> str:
    rest = len(keys) - _MOST_KEYS
    return f"they differ in {rest} more settings; --json has them all" if rest > 0 else ""


def _cells(row: dict[str, Any], keys: Sequence[str]) -> list[str]:
    rate = "-" if row["rate"] is None else f"{float(row['rate']):+.1f}"
    settings = (format_setting(row["settings"][key]) for key in keys)
    return [row["name"], str(row["status"]), str(row["verdict"] or "-"), rate, format_number(row["error"]), *settings]


def details(run: Run, *, unicode: bool = True) -> RenderableType:
    """A run's settings, where it comes from, and the command that repeats it."""
    table = Table(Column(overflow="fold"), Column(overflow="fold"), box=None, show_header=False, pad_edge=False)
    for key, value in [*_origin(run), *((key, format_setting(value)) for key, value in _settings(run).items())]:
        table.add_row(Text(printable(key, unicode), style="dim"), Text(printable(shortened(value, 1000), unicode)))
    return table


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
