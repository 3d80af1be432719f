"""`rnnlab configs`."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from typing import Annotated

import typer

EXAMPLES = """\b
Examples:
  rnnlab configs
  rnnlab configs --json
  rnnlab new --from demo
"""


def configs(
    as_json: Annotated[bool, typer.Option("--json", help="Print them as a JSON array.")] = False,
) -> None:
    """List the configs that ship, and what each asks.

    `rnnlab new --from NAME` writes a copy of one.
    """
    from rnnlab.config.shipped import all_shipped

    kinds = {config.name: "sweep" if config.is_sweep else "run" for config in all_shipped()}
    if as_json:
        listed = [
            {"name": config.name, "kind": kinds[config.name], "question": config.question, "time": config.said("Time")}
            for config in all_shipped()
        ]
        print(json.dumps(listed, indent=2))
        return
    # Piped text is for other programs, which find a question on one line.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    for config in all_shipped():
        print(f"{config.name} ({kinds[config.name]}; {config.said('Time')})")
        print(textwrap.fill(config.question, width, initial_indent="  ", subsequent_indent="  "))
