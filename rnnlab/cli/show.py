"""`rnnlab show`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnlab.cli.arguments import Trust

if TYPE_CHECKING:
    from rnnlab.runs.run import Run

EXAMPLES = """\b
Examples:
  rnnlab show demo
  rnnlab show runs/demo --json

\b
What can be read of a damaged run is shown; then the damaged files are named,
and the exit code is 3. --json reads run.json and config.yaml only.
"""


def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name in runs/.")],
    trust: Trust = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print run.json and the settings as one JSON object.")
    ] = False,
) -> None:
    """Show one run: its end, its gradient, its settings, its origin."""
    only = chosen_run(run, trust=trust)
    if as_json:
        facts = {"path": str(only.path), **only.info, "status": only.status, "settings": only.settings}
        print(json.dumps(facts, indent=2, default=str))
    else:
        _show(only)


def chosen_run(named: str, *, trust: bool) -> Run:
    """The one run that an argument names. Raises RunFolderError or UsageError."""
    from rnnlab.compare.select import choose
    from rnnlab.errors import RunFolderError, UsageError

    chosen = choose([named], trust=trust)
    if len(chosen) == 1:
        return chosen[0]
    reasons = [reason for path, reason in chosen.unreadable.items() if path == Path(named) or path.name == named]
    if reasons:
        raise RunFolderError(reasons[0])
    listed = f"`rnnlab ls {shlex.quote(named)}` lists them"
    raise UsageError(f"{named} is {len(chosen)} runs, and this takes one; {listed}")


def _show(run: Run) -> None:
    from rnnlab.cli.streams import stdout_console
    from rnnlab.errors import DamagedError
    from rnnlab.report.terminal.listing import details, plain_details
    from rnnlab.report.terminal.summary import damaged_files, summary, supports_unicode

    console, unicode = stdout_console(), supports_unicode(sys.stdout.encoding)
    console.print(summary(run, console.width, unicode=unicode))
    console.print()
    console.print(details(run, unicode=unicode) if console.is_terminal else plain_details(run, unicode=unicode))
    if damaged := damaged_files(run):
        raise DamagedError(f"{run.path} has damaged files: {', '.join(damaged)}")
