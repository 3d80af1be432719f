"""The axes along which groups differ: a setting, or a part with those of its options that not every part has.

A threshold says nothing of `clip: none`, so `clip.name` and `clip.threshold` are one axis with the values none,
norm 0.5 and value 0.1; the length of a sequence, which every task has, is an axis of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Axis:
    """One setting, or the name of a part and the options that not every part has.

    >>> clip = Axis(("clip.name", "clip.threshold"))
    >>> clip.key, clip.value({"clip.name": "norm", "clip.threshold": 0.5})
    ('clip', 'norm 0.5')
    >>> clip.value({"clip.name": "none", "clip.threshold": None})
    'none'
    """

    keys: tuple[str, ...]

    @property
    def key(self) -> str:
        """The setting, or the section of the part."""
        return self.keys[0] if len(self.keys) == 1 else self.keys[0].removesuffix(".name")

    def value(self, settings: Mapping[str, Any]) -> Any:
        """The setting; of a part its name and the values of its options, as text."""
        if len(self.keys) == 1:
            return settings.get(self.keys[0])
        name, *options = self.keys
        given = [(key, settings[key]) for key in options if settings.get(key) is not None]
        texts = (f"{value:g}" if isinstance(value, float) else str(value) for _, value in given)
        # With two options 0.5 alone could be either.
        labels = (f"{key.rpartition('.')[2]} " if len(options) > 1 else "" for key, _ in given)
        return " ".join([str(settings.get(name)), *map("".join, zip(labels, texts, strict=True))])


def axes_of(keys: Sequence[str], table: Iterable[Mapping[str, Any]]) -> tuple[Axis, ...]:
    """The axes that these keys make of the rows of a table of settings, in the order of the keys."""
    rows = list(table)
    axes: dict[str, list[str]] = {}
    for key in keys:
        name = name_key(key)
        belongs = name != key and name in keys and any(row.get(key) is None for row in rows)
        axes.setdefault(name if belongs else key, []).append(key)
    return tuple(Axis((first, *(key for key in of if key != first))) for first, of in axes.items())


def with_names(keys: Sequence[str], table: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys, and before an option that some rows lack the name of its part, where that differs."""
    named: list[str] = []
    for key in keys:
        name = name_key(key)
        lacking = any(row.get(key) is None for row in table)
        if lacking and name not in (*keys, *named) and len({str(row.get(name)) for row in table}) > 1:
            named.append(name)
        named.append(key)
    return named


def with_options(keys: Sequence[str], table: Sequence[Mapping[str, Any]], differing: Sequence[str]) -> list[str]:
    """The keys, and after the name of a part the options that some of the parts lack, where one is not the default.

    They follow from the other keys here, so that no group is divided; but `norm` alone would stand for its default.
    """
    complete = []
    for key in keys:
        complete.append(key)
        options = [other for other in differing if other not in keys and other != key and name_key(other) == key]
        complete += [option for option in options if _is_worth_showing(option, key, table)]
    return complete


def _is_worth_showing(option: str, name: str, table: Sequence[Mapping[str, Any]]) -> bool:
    given = {(str(row.get(name)), row[option]) for row in table if isinstance(row.get(option), int | float | str)}
    if all(row.get(option) is not None for row in table):
        return False
    from rnnlab.config.keys import owner_at

    section, _, last = option.rpartition(".")
    owner = owner_at(tuple(section.split(".")))
    # A default of None is filled in by the config, such as the nonlinearity of a cell.
    usual = {part: owner.models[part].model_fields for part, _ in given if part in owner.models} if owner else {}
    defaults = ((usual[part][last].default, value) for part, value in given if last in usual.get(part, {}))
    return any(default is not None and default != value for default, value in defaults)


def name_key(key: str) -> str:
    """The key of the name of the part that an option belongs to: `clip.name` for `clip.threshold`."""
    section, _, _ = key.rpartition(".")
    return "model.cell" if section == "model" else f"{section}.name"
