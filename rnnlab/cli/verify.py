"""`rnnlab verify`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnlab.cli.arguments import Chosen
from rnnlab.cli.plugin_options import AllowPlugins, PluginNames, load_plugins
from rnnlab.errors import DamagedError

if TYPE_CHECKING:
    from rnnlab.training.verify import Verification

EXAMPLES = """\b
Examples:
  rnnlab verify
  rnnlab verify runs/demo
  rnnlab verify runs/ 'lstm-*' --json

\b
Every file is read whole. It has to have the length and hash that run.json
gives, and the rows that the schedule gives. For each run that is damaged the
command is shown that restores it. Exit code 3 if there is one.
"""


def verify(
    runs: Chosen = None,
    plugins: PluginNames = None,
    allow_plugins: AllowPlugins = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only what is damaged.")] = False,
) -> None:
    """Check that the files of runs are whole and unchanged."""
    from rnnlab.cli.streams import print_error
    from rnnlab.training.verify import leftovers, verify_run

    load_plugins(plugins)
    paths = _paths(runs or ())
    damaged = 0
    for path in paths:
        verification = verify_run(path, allow_plugins=allow_plugins)
        damaged += not verification.whole
        if as_json:
            facts = asdict(verification) | {"path": str(path), "whole": verification.whole}
            print(json.dumps(facts), flush=True)
        elif not quiet or not verification.whole:
            print("\n".join(_lines(verification)), flush=True)
    for root in dict.fromkeys(path.parent for path in paths):
        for left in leftovers(root):
            print_error(f"{left} was left by a process that was killed; `rm -r` it if nothing trains there")
    if damaged:
        raise DamagedError(f"{damaged} of {len(paths)} runs {'is' if damaged == 1 else 'are'} damaged")
    if not quiet and not as_json:
        print(f"{len(paths)} {'run is' if len(paths) == 1 else 'runs are'} whole")


def _paths(given: Sequence[str]) -> list[Path]:
    """The folders to verify: runs, and what was a run before it lost its run.json."""
    from rnnlab.compare.select import choose
    from rnnlab.runs.folder import RunFolder

    chosen = choose(given, trust=True)
    lost = [path for path in chosen.unreadable if any(file.exists() for file in RunFolder(path).files)]
    return sorted([*(run.path for run in chosen), *lost])


def _lines(verification: Verification) -> Iterator[str]:
    """What is said of one run."""
    from rnnlab.report.formatting import printable

    word = "whole" if verification.whole else "damaged"
    yield f"{word:8} {printable(str(verification.path))} ({verification.status})"
    for fault in verification.faults:
        yield f"         {printable(fault)}"
    for remark in verification.remarks:
        yield f"         not verified: {printable(remark)}"
    if verification.restore:
        restore = printable(verification.restore)
        yield f"         {'goes on with' if verification.whole else 'restore'}: {restore}"
