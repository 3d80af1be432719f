"""The options `--plugin` and `--allow-plugins` of the commands that read configs."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Annotated

import typer

from rnnlab.cli.streams import print_error

PluginNames = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="FILE|MODULE", help="Load parts of your own; may be repeated."),
]
AllowPlugins = Annotated[
    bool, typer.Option("--allow-plugins", help="Load what `plugins:` in a config names: code, which then runs.")
]


def print_allowing(arguments: Iterable[str]) -> None:
    """Say which command allows what was refused, on stderr."""
    print_error(f"to allow it: {shlex.join(['rnnlab', *arguments, '--allow-plugins'])}")


def load_plugins(names: Iterable[str] | None) -> None:
    """Load the installed plugins, and those that were given. Raises PluginError."""
    from rnnlab.plugins import load_installed, load_plugin

    load_installed()
    for name in names or ():
        load_plugin(name)
