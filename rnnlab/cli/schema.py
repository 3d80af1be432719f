"""`rnnlab schema`."""

from __future__ import annotations

from typing import Annotated

import typer

from rnnlab.cli.plugin_options import PluginNames, load_plugins

EXAMPLES = """\b
Examples:
  rnnlab schema > schema.json
  rnnlab schema --sweep > sweep.schema.json

\b
Then, as the first line of a config beside it, for editors that speak it:
  # yaml-language-server: $schema=schema.json
"""


def schema(
    of_sweep: Annotated[bool, typer.Option("--sweep", help="Of a sweep file instead.")] = False,
    plugins: PluginNames = None,
) -> None:
    """Print the JSON Schema of a config, for editors.

    Draft 2020-12; an editor checks and completes a config by it.
    """
    import json

    from rnnlab.config import json_schema
    from rnnlab.sweeps.file import sweep_schema

    load_plugins(plugins)
    print(json.dumps(sweep_schema() if of_sweep else json_schema(), indent=2))
