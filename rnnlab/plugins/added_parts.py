"""The parts that a plugin added to the tables: noted, taken out again, or missed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from rnnlab.catalog import config_tables, tables
from rnnlab.errors import PluginError
from rnnlab.plugins.description import shown

Snapshot = dict[str, dict[str, type[Any]]]
"""For each kind, the parts by name."""
MODULE = "rnnlab_plugin_"
"""The beginning of the module's name that a file gets."""


def snapshot() -> Snapshot:
    """The tables as they are."""
    return {kind: dict(table) for kind, table in tables().items()}


def added(before: Snapshot, module: ModuleType) -> tuple[tuple[str, str], ...]:
    """The parts that a module brought. Raises PluginError where there are none, with the line that is missing."""
    name = module.__name__
    result = [
        (kind, key)
        for kind, parts in snapshot().items()
        for key, part in parts.items()
        if before[kind].get(key) is not part or part.__module__ == name or part.__module__.startswith(f"{name}.")
    ]
    if result:
        return tuple(result)
    where = shown(module.__file__ or name) if name.startswith(MODULE) else name
    raise PluginError(f"{where}: it adds no part to a table; {_missing_line(module)}")


def _missing_line(module: ModuleType) -> str:
    for kind, table in config_tables().items():
        base = _base_of(table)
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__ and issubclass(value, base):
                key = value.key() if "name" in value.model_fields else "name"  # type: ignore[attr-defined]
                return f"{kind.upper()}[{key!r}] = {value.__name__} would add its class {value.__name__}"
    return "a line such as CELLS['mine'] = Mine adds one"


def _base_of(table: Mapping[str, type[Any]]) -> type[Any]:
    """The class that all parts of a table derive from: the last of rnnlab's own that they share, before Part."""
    first, *others = table.values()
    shared = [base for base in first.__mro__ if all(issubclass(other, base) for other in others)]
    return shared[0]


def remove(parts: Iterable[tuple[str, str]]) -> None:
    """Take these parts (kind and name) out of their tables."""
    for kind, name in parts:
        tables()[kind].pop(name, None)


def restore(before: Snapshot) -> None:
    """Make the tables what they were."""
    for kind, table in tables().items():
        for name, part in [*table.items()]:
            if before[kind].get(name) is not part:
                del table[name]
        for name, part in before[kind].items():
            if name not in table:
                table[name] = part
