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
  rnnlab new --sweep
  rnnlab new --from demo
  rnnlab new - | rnnlab train --config - --dry-run
"""


def _names(incomplete: str) -> list[str]:
    from rnnlab.config.shipped import all_shipped

    return [config.name for config in all_shipped() if config.name.startswith(incomplete)]


def new(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE", help="Where to (default experiment.yaml, sweep.yaml or NAME.yaml); - for stdout."
        ),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME",
            help="A copy of a config that ships with rnnlab (see `rnnlab configs`).",
            autocompletion=_names,
        ),
    ] = None,
    of_sweep: Annotated[bool, typer.Option("--sweep", help="A sweep instead.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a config to start from, with every section commented."""
    from rnnlab.config.shipped import shipped
    from rnnlab.config.starter import starter, sweep_starter
    from rnnlab.errors import UsageError

    if like is not None and of_sweep:
        raise UsageError("--sweep is for a new sweep, --from NAME for a copy; `rnnlab configs` says which are sweeps")
    copied = shipped(like) if like is not None else None
    write = copied.copy if copied else sweep_starter if of_sweep else starter
    usual = f"{copied.name}.yaml" if copied else "sweep.yaml" if of_sweep else "experiment.yaml"
    if file == "-":
        print(write(usual), end="")
        return
    file = file or usual
    command = "sweep" if of_sweep or (copied and copied.is_sweep) else "train"
    try:
        with Path(file).open("w" if force else "x", encoding="utf-8") as opened:
            opened.write(write(shlex.quote(file)))
    except FileExistsError as error:
        raise UsageError(f"{file} is there already; choose another name, or replace it with --force") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror or error}") from error
    print(f"{file} is written; run it with: rnnlab {command} --config {shlex.quote(file)}", file=sys.stderr)
