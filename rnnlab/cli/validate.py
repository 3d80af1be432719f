"""`rnnlab validate`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

EXAMPLES = """\b
Examples:
  rnnlab validate configs/*.yaml
  rnnlab new - | rnnlab validate -
"""


def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Config files; - for stdin.", show_default=False)],
) -> None:
    """Say all that is wrong with config files, and run nothing.

    One line each on stdout: file:line:column: key: what is wrong. Exit code 2 if there is any.
    """
    from rnnlab.config import load_config
    from rnnlab.errors import ConfigError

    wrong = 0
    for file in files:
        try:
            load_config(file)
        except ConfigError as error:
            print(error)
            wrong += 1
    count = f"{len(files)} file{'s' if len(files) != 1 else ''}"
    print(f"{count}, {wrong} with problems" if wrong else f"{count}, nothing wrong", file=sys.stderr)
    if wrong:
        raise typer.Exit(2)
