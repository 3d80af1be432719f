"""`rnnlab ls`."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from rnnlab.cli.arguments import Chosen, Trust

EXAMPLES = """\b
Examples:
  rnnlab ls
  rnnlab ls runs/ 'lstm-*' --where status=diverged
  rnnlab ls --where clip.threshold=1 --json
"""


def ls(
    runs: Chosen = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="CONDITION", help="Such as status=diverged; may be repeated.")
    ] = None,
    trust: Trust = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """List runs: status, verdict, error, settings that differ."""
    from rnnlab.cli.streams import print_error, stdout_console
    from rnnlab.compare.select import choose
    from rnnlab.report.terminal.listing import key_settings, listing, plain_listing, rows

    chosen = choose(runs or (), where or (), trust=trust)
    for name, reason in chosen.left_out.items():
        print_error(f"left out: {name}: {reason}")
    if as_json:
        for row in rows(chosen, key_settings(chosen)):
            print(json.dumps(row, default=str))
        return
    if not len(chosen):
        print_error(chosen.unmet or "no runs")
        return
    if not sys.stdout.isatty():
        print("\n".join(plain_listing(chosen)))
        return
    from rnnlab.report.terminal.summary import supports_unicode

    console = stdout_console()
    console.print(listing(chosen, console.width, unicode=supports_unicode(sys.stdout.encoding)))
