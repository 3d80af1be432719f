"""`rnnlab validate`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rnnlab.cli.plugin_options import AllowPlugins, PluginNames, load_plugins, print_allowing

EXAMPLES = """\b
Examples:
  rnnlab validate configs/*.yaml
  rnnlab new - | rnnlab validate -
"""


def validate(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Config or sweep files; - for stdin.", show_default=False)
    ],
    plugins: PluginNames = None,
    allow_plugins: AllowPlugins = False,
) -> None:
    """Say all that is wrong with configs and sweeps, and run nothing.

    One line each on stdout: file:line:column: key: what is wrong. Exit code 2 if there is any.
    """
    from rnnlab.config.load import document_of, is_sweep, load_config
    from rnnlab.errors import ConfigError, PluginRefusedError, RnnlabError
    from rnnlab.sweeps.file import load_sweep
    from rnnlab.wording import escaped

    load_plugins(plugins)
    wrong, refused = 0, False
    for file in files:
        try:
            document = document_of(file)
            load = load_sweep if is_sweep(document) else load_config
            load(document, allow_plugins=allow_plugins)
        except RnnlabError as error:
            # Of a sweep the data must be there too: the names of its runs say how long the sequences are.
            print(error if isinstance(error, ConfigError) else escaped(f"{file}: {error}"))
            wrong += 1
            refused |= isinstance(error, PluginRefusedError)
    count = f"{len(files)} file{'s' if len(files) != 1 else ''}"
    print(f"{count}, {wrong} with problems" if wrong else f"{count}, nothing wrong", file=sys.stderr)
    if refused:
        print_allowing(["validate", *(part for name in plugins or () for part in ("--plugin", name)), *files])
    if wrong:
        raise typer.Exit(2)
