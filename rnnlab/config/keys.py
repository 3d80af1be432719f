"""The keys that a config can have, as the models define them: for suggestions, `--set` and the axes of sweeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rnnlab.catalog import config_tables
from rnnlab.config.facts import NO_IDENTITY
from rnnlab.config.schema import Config
from rnnlab.config.yaml_tree import Path as KeyPath
from rnnlab.parts import OneOf, Part


@dataclass(frozen=True, eq=False)
class Owner:
    """Something that has keys: a section, which is one model, or a table, of which a config names one part.

    >>> clips = owner_at(("clip",))
    >>> clips.having("threshold")
    ['norm', 'value', 'adjoint']
    """

    models: Mapping[str, type[BaseModel]]
    choice: OneOf | None = None
    alone: bool = True
    """Whether it is always a mapping; a loss is not: it is `{single: 3}` or the word `last`."""

    def fields(self, part: str | None = None) -> dict[str, FieldInfo]:
        """The keys of this part, or of all parts."""
        chosen = [self.models[part]] if part is not None and part in self.models else self.models.values()
        return {key: field for model in chosen for key, field in model.model_fields.items()}

    def having(self, key: str) -> list[str]:
        """The parts that have this key."""
        return [name for name, model in self.models.items() if key in model.model_fields]


def owner_of(field: FieldInfo) -> Owner | None:
    """The owner of the keys inside a field's value, or None where it has none."""
    for annotation in field.metadata:
        if isinstance(annotation, OneOf):
            return Owner(annotation.parts, annotation)
    types = list(_types(field.annotation))
    for model in types:
        if isinstance(model, type) and issubclass(model, BaseModel) and not issubclass(model, Part):
            return Owner({"": model}, alone=len(types) == 1)
    return None


def owner_at(path: KeyPath) -> Owner | None:
    """The owner of the keys below this path, or None where there are none."""
    owner: Owner | None = Owner({"": Config})
    for step in path:
        field = owner.fields().get(str(step)) if owner else None
        owner = owner_of(field) if field else None
    return owner


def field_at(path: KeyPath) -> FieldInfo | None:
    """The field at this path, of the first part that has it."""
    owner = owner_at(path[:-1])
    return owner.fields().get(str(path[-1])) if owner and path else None


@cache
def known_keys() -> Mapping[str, FieldInfo]:
    """Every key of every part, dotted: `model.init.recurrent.gain`."""
    return dict(_below(Owner({"": Config}), ""))


def axis_keys() -> tuple[str, ...]:
    """The keys that can be an axis of a sweep: those that make another run."""
    return tuple(key for key in known_keys() if key not in NO_IDENTITY)


# A part that is added to a table brings keys.
for _table in config_tables().values():
    _table.when_changed(known_keys.cache_clear)


def _below(owner: Owner, prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for key, field in owner.fields().items():
        yield prefix + key, field
        if (inner := owner_of(field)) is not None:
            yield from _below(inner, f"{prefix}{key}.")


def is_text(field: FieldInfo) -> bool:
    """Whether every text is a value of this field, `3` and `true` as well."""
    types = set(_types(field.annotation)) - {NoneType}
    return bool(types) and types <= {str, Path}


def _types(annotation: Any) -> Iterator[Any]:
    """The types of an annotation: each of a union, without metadata."""
    if get_origin(annotation) is Annotated:
        yield from _types(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for branch in get_args(annotation):
            yield from _types(branch)
    else:
        yield annotation
