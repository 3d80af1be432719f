"""Which keys a config can have, found from the models: for suggestions, for `--set`, and for axes over keys."""

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
from rnnlab.config.tree import Path as KeyPath
from rnnlab.parts import OneOf, Part


@dataclass(frozen=True, eq=False)
class Owner:
    """What has keys: one model, or the parts of a table, of which a config has one."""

    models: Mapping[str, type[BaseModel]]
    choice: OneOf | None = None
    alone: bool = True
    """Nothing without keys can stand in its place, as `last` can for a loss of `{single: 3}`."""

    def fields(self, part: str | None = None) -> dict[str, FieldInfo]:
        """The keys of this part, or of all."""
        chosen = [self.models[part]] if part is not None and part in self.models else self.models.values()
        return {key: field for model in chosen for key, field in model.model_fields.items()}

    def having(self, key: str) -> list[str]:
        """The parts that have this key."""
        return [name for name, model in self.models.items() if key in model.model_fields]


def owner_of(field: FieldInfo) -> Owner | None:
    """What the value of a field is made of, where it has keys of its own."""
    for mark in field.metadata:
        if isinstance(mark, OneOf):
            return Owner(mark.parts, mark)
    kinds = list(_kinds(field.annotation))
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, BaseModel) and not issubclass(kind, Part):
            return Owner({"": kind}, alone=len(kinds) == 1)
    return None


def owner_at(path: KeyPath) -> Owner | None:
    """What owns the keys below this path, or None where there are none."""
    owner: Owner | None = Owner({"": Config})
    for step in path:
        field = owner.fields().get(str(step)) if owner else None
        owner = owner_of(field) if field else None
    return owner


def field_at(path: KeyPath) -> FieldInfo | None:
    """The field that a path leads to, in whichever part has it."""
    owner = owner_at(path[:-1])
    return owner.fields().get(str(path[-1])) if owner and path else None


@cache
def known_keys() -> Mapping[str, FieldInfo]:
    """Every key of every part, dotted: `model.init.recurrent.gain`."""
    return dict(_below(Owner({"": Config}), ""))


@cache
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
    """Whether any word is a value of this field, `3` and `true` as well."""
    kinds = set(_kinds(field.annotation)) - {NoneType}
    return bool(kinds) and kinds <= {str, Path}


def _kinds(annotation: Any) -> Iterator[Any]:
    """What an annotation allows, without what is annotated."""
    if get_origin(annotation) is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for one in get_args(annotation):
            yield from _kinds(one)
    else:
        yield annotation
