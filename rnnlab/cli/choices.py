"""Options whose choices are the names in a table. The table is read when help or completion needs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typer.core import TyperCommand

from rnnlab.catalog import table_of


def with_choices(**kinds: str) -> type[TyperCommand]:
    """The class of a command whose help shows, for an option of this name, the names in the table of that kind."""

    class Command(TyperCommand):
        # The tables are read for help only: loading them takes too long for every command.
        def format_help(self, ctx: Any, formatter: Any) -> None:
            for option in self.params:
                if option.name in kinds:
                    option.metavar = "|".join(table_of(kinds[option.name]))
            super().format_help(ctx, formatter)

    return Command


def complete(kind: str) -> Callable[[str], list[str]]:
    """A completion function: the names in the table of this kind that begin with the typed text."""
    return lambda incomplete: [name for name in table_of(kind) if name.startswith(incomplete)]
