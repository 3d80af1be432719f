"""`rnnlab new`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """\b
Examples:
  rnnlab new
  rnnlab new adding.yaml
  rnnlab new - | rnnlab train --config - --dry-run
"""


def new(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to; - for stdout.")] = "experiment.yaml",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a config to start from, with every section commented."""
    from rnnlab.config import starter
    from rnnlab.errors import UsageError

    if file == "-":
        print(starter(), end="")
        return
    try:
        with Path(file).open("w" if force else "x", encoding="utf-8") as opened:
            opened.write(starter(shlex.quote(file)))
    except FileExistsError as error:
        raise UsageError(f"{file} is there already; choose another name, or replace it with --force") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror or error}") from error
    print(f"{file} is written; run it with: rnnlab train --config {shlex.quote(file)}", file=sys.stderr)
