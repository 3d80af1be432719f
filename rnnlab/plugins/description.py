"""A plugin as data: for run.json, and to be sent to other processes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Plugin:
    """A file or a module that was loaded, and the parts that it added.

    >>> Plugin("my_package.cells", "9f3c", (("cells", "ugrnn"),)).facts()
    {'name': 'my_package.cells', 'sha256': '9f3c', 'parts': ['cells ugrnn']}
    """

    name: str
    """The absolute path of a file, or the name of a module."""
    sha256: str
    """Of the file; of a package, over all its Python files."""
    parts: tuple[tuple[str, str], ...]
    """The kind and the name of each."""
    source: str = ""
    """The text of a file, with which it travels to other processes and machines; empty for a module."""
    distribution: str = ""
    """The installed package whose entry point named the module, with its version; empty for any other."""

    def facts(self) -> dict[str, Any]:
        """What run.json says of it."""
        made = {"distribution": self.distribution} if self.distribution else {}
        return {"name": self.name, "sha256": self.sha256, **made, "parts": [" ".join(part) for part in self.parts]}

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """A plugin from its fields as JSON has them."""
        return cls(**{**fields, "parts": tuple((kind, name) for kind, name in fields["parts"])})


def changes(recorded: Any, used: Iterable[Plugin]) -> list[str]:
    """How the plugins of a run.json differ from those that are loaded now, a sentence each; empty where none does."""
    now = {_last(plugin.name): plugin for plugin in used}
    then = {_last(str(facts.get("name"))): facts for facts in recorded or () if isinstance(facts, Mapping)}
    texts = [
        f"{name} has changed since (sha256 {str(facts.get('sha256'))[:12]}... then, {now[name].sha256[:12]}... now)"
        for name, facts in then.items()
        if name in now and facts.get("sha256") != now[name].sha256
    ]
    return texts + [f"{name} was not its plugin then" for name in now if name not in then]


def path_of(name: str, folder: str | os.PathLike[str] = "") -> str | None:
    """The absolute path that a name stands for; None for the name of a module."""
    if not (name.endswith(".py") or "/" in name or os.sep in name):
        return None
    return str((Path(folder) / Path(name).expanduser()).resolve())


def shown(path: str) -> str:
    """A path as a message has it: from the working directory on where it lies below."""
    try:
        below = os.path.relpath(path)
    except ValueError:  # on another drive
        return path
    return path if below.startswith(os.pardir) else below


def _last(name: str) -> str:
    return os.path.basename(name) if path_of(name) else name
