"""`rnnlab ls` and `rnnlab show`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rnnlab.runs.run import Run

LS_EXAMPLES = """\b
Examples:
  rnnlab ls
  rnnlab ls runs/ 'lstm-*' --where status=diverged
  rnnlab ls --where clip.threshold=1 --json
"""
SHOW_EXAMPLES = """\b
Examples:
  rnnlab show demo
  rnnlab show runs/demo --json
"""


def ls(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="FOLDER|RUN|GLOB", help="A folder of runs (runs/), and which of them."),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="CONDITION", help="Such as status=diverged; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """List runs: status, verdict, error, settings that differ."""
    from rnnlab.cli.streams import print_error
    from rnnlab.compare.select import choose
    from rnnlab.report.terminal.listing import key_settings, listing, plain_listing, rows

    chosen = choose(runs or (), where or ())
    for name, why in chosen.left_out.items():
        print_error(f"left out: {name}: {why}")
    if as_json:
        for row in rows(chosen, key_settings(chosen)):
            print(json.dumps(row, default=str))
        return
    if not len(chosen):
        print_error("no runs")
        return
    if not sys.stdout.isatty():
        print("\n".join(plain_listing(chosen)))
        return
    from rich.console import Console

    from rnnlab.report.terminal.summary import speaks_unicode

    Console(highlight=False).print(listing(chosen, unicode=speaks_unicode(sys.stdout.encoding)))


def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name in runs/.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print run.json and the settings as one JSON object.")
    ] = False,
) -> None:
    """Show one run: its end, its gradient, its settings, its origin."""
    from rnnlab.compare.select import choose
    from rnnlab.errors import RunFolderError, UsageError

    chosen = choose([run])
    if len(chosen) != 1:
        reasons = [reason for path, reason in chosen.unreadable.items() if path == Path(run) or path.name == run]
        if reasons:
            raise RunFolderError(reasons[0])
        raise UsageError(f"{run} is {len(chosen)} runs, and show takes one; `rnnlab ls {shlex.quote(run)}` lists them")
    (only,) = chosen
    if as_json:
        facts = {"path": str(only.path), **only.info, "status": only.status, "settings": only.settings}
        print(json.dumps(facts, indent=2, default=str))
    else:
        _show(only)


def _show(run: Run) -> None:
    from rich.console import Console

    from rnnlab.report.terminal.listing import about
    from rnnlab.report.terminal.summary import speaks_unicode, summary

    console, unicode = Console(highlight=False), speaks_unicode(sys.stdout.encoding)
    console.print(summary(run, console.width, unicode=unicode))
    console.print()
    console.print(about(run, unicode=unicode))
