"""Arguments and options that several commands have, each with its help."""

from __future__ import annotations

from typing import Annotated

import typer

Chosen = Annotated[
    list[str] | None,
    typer.Argument(metavar="FOLDER|RUN|GLOB", help="A folder of runs (runs/), and which of them."),
]
Trust = Annotated[bool, typer.Option("--trust", help="Read files that were changed since their run ended.")]
