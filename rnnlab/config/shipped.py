"""The configs that ship: each opens with a comment that says its question, its command, what to expect and its time.

They are in `rnnlab/configs` of an installed package, and in `configs` of a checkout.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rnnlab.errors import UsageError, nearest

_PACKAGE = Path(__file__).parent.parent
_FIELD = re.compile(r"^# (\w+): +(.*)$")


@dataclass(frozen=True)
class Shipped:
    """One config or sweep that ships.

    >>> from rnnlab.config.shipped import shipped
    >>> shipped("demo").is_sweep, shipped("sweep_demo").is_sweep
    (False, True)
    """

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @cached_property
    def text(self) -> str:
        return self.path.read_text("utf-8")

    @property
    def is_sweep(self) -> bool:
        return re.search(r"^base:", self.text, re.MULTILINE) is not None

    @property
    def question(self) -> str:
        """What it asks, without the code that it may show after that."""
        question, mark, _ = self.said("Question").partition("?")
        return question + mark

    def said(self, field: str) -> str:
        """What its comment says of `Question`, `Command`, `Expect` or `Time`, on one line; empty for nothing."""
        words: list[str] = []
        inside = False
        for line in self.text.splitlines():
            if match := _FIELD.match(line):
                inside = match[1] == field
                words += [match[2]] if inside else []
            elif inside and line.startswith("#  "):
                words.append(line[1:].strip())
            else:
                inside = False
        return " ".join(words)

    def copy(self, file: str) -> str:
        """Its text as a file of the user's: its commands name that file, and no schema lies beside it."""
        lines = self.text.splitlines(keepends=True)
        kept = lines[2:] if "yaml-language-server" in lines[0] else lines
        return (
            "".join(kept)
            .replace(f"make {self.name.replace('_', '-')}, which is", "")
            .replace(f"configs/{self.path.name}", file)
        )


def all_shipped() -> list[Shipped]:
    """All of them, by name."""
    return [Shipped(path) for path in sorted(_folder().glob("*.yaml"))]


def shipped(name: str) -> Shipped:
    """The one of that name, with or without `configs/` and `.yaml`. Raises UsageError."""
    known = {config.name: config for config in all_shipped()}
    if (stem := shipped_name(name)) is None:
        near = nearest(Path(name).name.removesuffix(".yaml"), known)
        hint = f"; did you mean '{near}'?" if near else ""
        raise UsageError(f"no config {name!r} ships with rnnlab{hint} (choices: {', '.join(known)})")
    return known[stem]


def shipped_name(file: str) -> str | None:
    """The name of the config that ships which that file is named after, if there is one."""
    stem = Path(file).name.removesuffix(".yaml")
    return stem if any(config.name == stem for config in all_shipped()) else None


def _folder() -> Path:
    packaged = _PACKAGE / "configs"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "configs"
