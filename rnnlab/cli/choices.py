"""Options whose choices are the names in a table. The table is read when help or completion needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from typer.core import TyperCommand

from rnnlab.catalog import table_of


def with_choices(**kinds: str) -> type[TyperCommand]:
    """The class of a command whose help shows, for an option of this name, the names in the table of that kind."""
    return with_names(**{option: partial(table_of, kind) for option, kind in kinds.items()})


def with_names(**tables: Callable[[], Iterable[str]]) -> type[TyperCommand]:
    """The same, with a function that gives the names of each option."""

    class Command(TyperCommand):
        # The tables are read for help only: loading them takes too long for every command.
        def format_help(self, ctx: Any, formatter: Any) -> None:
            for option in self.params:
                if option.name in tables:
                    option.metavar = "|".join(tables[option.name]())
            super().format_help(ctx, formatter)

    return Command


def complete(kind: str) -> Callable[[str], list[str]]:
    """A completion function: the names in the table of this kind that begin with the typed text."""
    return complete_names(partial(table_of, kind))


def complete_names(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """The same, with a function that gives the names."""
    return lambda incomplete: [name for name in names() if name.startswith(incomplete)]
