"""Options whose choices are a table: help shows the names that the table has then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typer.core import TyperCommand

from rnnlab.catalog import table_of


def with_choices(**kinds: str) -> type[TyperCommand]:
    """The class of a command whose help shows, for an option of this name, the names in the table of that kind."""

    class Command(TyperCommand):
        # The tables are read when help is asked for: they take too long to load for every command.
        def format_help(self, ctx: Any, formatter: Any) -> None:
            for option in self.params:
                if option.name in kinds:
                    option.metavar = "|".join(table_of(kinds[option.name]))
            super().format_help(ctx, formatter)

    return Command


def complete(kind: str) -> Callable[[str], list[str]]:
    """For a shell: the names in the table of this kind that begin so."""
    return lambda incomplete: [name for name in table_of(kind) if name.startswith(incomplete)]
