"""Runs as a list, and one run's settings and origin, for a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from rnnlab.curves import final_error
from rnnlab.errors import RunFolderError
from rnnlab.groups import NO_SETTINGS
from rnnlab.report.findings import short_names, value_text
from rnnlab.report.terminal import COLOURS, clean, figure

if TYPE_CHECKING:
    from rnnlab.runs import Run, Runs

_MOST_KEYS = 6


def rows(runs: Runs) -> Iterator[dict[str, Any]]:
    """A run as data: name, status, verdict, figures, and the settings in which the runs differ."""
    keys = key_settings(runs)
    for run in runs:
        verdict, result = run.info.get("verdict") or {}, run.info.get("result") or {}
        yield {
            "name": run.name,
            "status": run.status,
            "reason": run.info.get("reason") or "",
            "sweep": run.info.get("sweep"),
            "updates": run.info.get("updates"),
            "verdict": verdict.get("word"),
            "rate": (verdict.get("fit") or {}).get("rate"),
            "error": final_error(result),
            "settings": {key: _settings(run).get(key) for key in keys},
        }


def key_settings(runs: Runs) -> list[str]:
    """The settings that tell the runs apart, the seed among them; those that follow from others are left out."""
    from rnnlab.groups import needed_keys

    tables = [{key: value for key, value in _settings(run).items() if key not in NO_SETTINGS} for run in runs]
    seeds = {_settings(run).get("seed") for run in runs}
    return [*needed_keys(tables), *(["seed"] if len(seeds) > 1 else [])]


def _settings(run: Run) -> dict[str, Any]:
    try:
        return run.settings
    except RunFolderError:
        return {}


def listing(runs: Runs, *, unicode: bool = True, tight: bool = True) -> RenderableType:
    """A line a run: name, status, verdict, rate, error, and the settings in which the runs differ."""
    keys = key_settings(runs)
    shown = keys[:_MOST_KEYS]
    names = short_names(shown)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("run", no_wrap=not tight, overflow="fold")
    for title in ("status", "verdict"):
        table.add_column(title, no_wrap=True)
    for title in ("rate", "error"):
        table.add_column(title, justify="right", no_wrap=True)
    for key in shown:
        table.add_column(clean(names[key], unicode), no_wrap=not tight, overflow="fold")
    for row in rows(runs):
        table.add_row(*_cells(row, shown, unicode))
    rest = f"they differ in {len(keys) - len(shown)} more settings; --json has them all" if keys[_MOST_KEYS:] else ""
    return Group(table, Text(rest, style="dim")) if rest else table


def _cells(row: dict[str, Any], keys: Sequence[str], unicode: bool) -> list[Text]:
    status, verdict = str(row["status"]), str(row["verdict"] or "-")
    rate = row["rate"]
    return [
        Text(clean(row["name"], unicode)),
        Text(clean(status, unicode), COLOURS.get(status, "")),
        Text(clean(verdict, unicode), COLOURS.get(verdict, "")),
        Text(f"{float(rate):+.1f}" if rate is not None else "-"),
        Text(figure(row["error"])),
        *(Text(clean(value_text(row["settings"][key]), unicode)) for key in keys),
    ]


def about(run: Run, *, unicode: bool = True) -> RenderableType:
    """A run's settings, where it comes from, and the command that repeats it."""
    table = Table(Column(overflow="fold"), Column(overflow="fold"), box=None, show_header=False, pad_edge=False)
    for key, value in [*_origin(run), *((key, value_text(value)) for key, value in _settings(run).items())]:
        table.add_row(Text(key, style="dim"), Text(clean(str(value), unicode)))
    return table


def _origin(run: Run) -> Iterator[tuple[str, str]]:
    info = run.info
    git = info.get("git") or {}
    if versions := info.get("versions"):
        yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items())
    if git:
        yield "commit", f"{git.get('commit')}{' (with changes)' if git.get('dirty') else ''}"
    for one in info.get("data") or []:
        yield "data", " ".join(str(value) for value in one.values()) if isinstance(one, dict) else str(one)
    if command := info.get("command"):
        yield "command", shlex.join(map(str, command))
    yield "repeat", repeat_command(run)


def repeat_command(run: Run) -> str:
    """The command that trains the run again, from its own config, under a name of its own."""
    config = run.path / "config.yaml"
    out = [] if run.path.parent == Path("runs") else ["--out", str(run.path.parent)]
    return shlex.join(["rnnlab", "train", "--config", str(config), "--name", f"{run.name}-again", *out])
