"""What all interchangeable parts have in common: options as fields, and a table of parts by name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeVar, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


def text_of(described: type) -> str:
    """The docstring of a class without its example."""
    return _before_example(inspect.getdoc(described) or "")


def without_example(schema: dict[str, Any]) -> None:
    """Take the example out of a JSON Schema, whose description is the model's docstring: for `json_schema_extra`."""
    if "description" in schema:
        schema["description"] = _before_example(schema["description"])


def _before_example(text: str) -> str:
    """The text up to the first line with a prompt."""
    return re.split(r"^ *>>> ", text, maxsplit=1, flags=re.MULTILINE)[0].rstrip()


class Part(BaseModel):
    """One interchangeable piece of an experiment.

    A subclass gives `name` as a `Literal` with itself as default, its options as fields with descriptions, a
    docstring whose first sentence says what it does, and `source`, the paper it comes from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, json_schema_extra=without_example)

    source: ClassVar[str] = ""
    hints: ClassVar[Mapping[str, str]] = {}
    """For each option, an addition to the message about a wrong value."""

    name: str

    @classmethod
    def key(cls) -> str:
        """The name that YAML uses for this part."""
        return str(cls.model_fields["name"].default)

    @classmethod
    def meaning(cls) -> str:
        """The first sentence of the docstring, on one line."""
        return first_sentence(cls)

    @classmethod
    def needs_options(cls) -> bool:
        """Whether its bare name is not enough."""
        return any(field.is_required() for field in cls.model_fields.values())


def first_sentence(described: type) -> str:
    """Of the docstring, on one line."""
    paragraph = " ".join((inspect.getdoc(described) or "").split("\n\n")[0].split())
    return paragraph.split(". ")[0].rstrip(".") + "."


class HasKey(Protocol):
    """A class that a table can hold: it has a key."""

    @classmethod
    def key(cls) -> str:
        """The name of the class in its table."""


P = TypeVar("P", bound=HasKey)
Shorthand = Callable[[Any], Any]


class Table(MutableMapping[str, type[P]]):
    """Parts by name. `TABLE[name] = part` adds a part, `del TABLE[name]` removes one.

    After each change the functions that `when_changed` got are called. So the keys of a config, the choices and the
    schema follow the table.

    >>> from rnnlab.clips import CLIPS
    >>> list(CLIPS)
    ['none', 'norm', 'value', 'adjoint']
    >>> CLIPS["norm"](threshold=5)
    ClipNorm(name='norm', threshold=5.0)
    """

    def __init__(self, parts: Iterable[type[P]]) -> None:
        self._parts = {part.key(): part for part in parts}
        self._callbacks: list[Callable[[], None]] = []

    def when_changed(self, callback: Callable[[], None]) -> None:
        """Call this function after each change of the table."""
        self._callbacks.append(callback)

    def __getitem__(self, name: str) -> type[P]:
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __setitem__(self, name: str, part: type[P]) -> None:
        """Raise ValueError if the part has another key than `name`, or the name or an option of it is taken."""
        if part.key() != name:
            raise ValueError(f"the part {part.key()!r} cannot be called {name!r}")
        there = self._parts.get(name)
        if there is not None and _place(there) != _place(part):
            raise ValueError(f"the name {name!r} is taken by {'.'.join(_place(there))}; choose another")
        before = dict(self._parts)
        self._parts[name] = part
        try:
            self._notify()
        except ValueError:
            self._parts = before
            self._notify()
            raise

    def __delitem__(self, name: str) -> None:
        del self._parts[name]
        self._notify()

    def _notify(self) -> None:
        for callback in self._callbacks:
            callback()


def _place(part: type[Any]) -> tuple[str, str]:
    """Where a class is defined. A later definition at the same place, as in a notebook, replaces the class."""
    return part.__module__, part.__qualname__


def table(*parts: type[P]) -> Table[P]:
    """The parts by name, in the order given."""
    return Table(parts)


class Subset(Mapping[str, type[P]]):
    """The parts of a table that fulfil a condition: a view, which follows the table.

    >>> from rnnlab.clips import CLIPS
    >>> list(Subset(CLIPS, lambda clip: "threshold" in clip.model_fields))
    ['norm', 'value', 'adjoint']
    """

    def __init__(self, parts: Mapping[str, type[P]], condition: Callable[[type[P]], bool]) -> None:
        self._parts, self._condition = parts, condition

    def __getitem__(self, name: str) -> type[P]:
        if self._condition(part := self._parts[name]):
            return part
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, part in self._parts.items() if self._condition(part))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def choice(parts: Mapping[str, type[Part]], default: str = "") -> Any:
    """The pydantic type of 'one of this table': a mapping with a name, or the bare name.

    With a default a mapping may leave the name out.
    """
    members = tuple(parts.values())
    chosen: Any = Annotated[Union[members], Field(discriminator="name")] if len(members) > 1 else members[0]  # noqa: UP007
    bare = tuple(name for name, part in parts.items() if not part.needs_options())
    written: Any = Union[Literal[bare], chosen] if bare else chosen  # noqa: UP007
    return Annotated[chosen, BeforeValidator(lambda value: named(value, default), json_schema_input_type=written)]


def named(value: Any, default: str = "") -> Any:
    """A bare name, or a mapping without a name, as a mapping with a name; other values as they are."""
    if isinstance(value, str):
        return {"name": value}
    if default and isinstance(value, Mapping) and "name" not in value:
        return {"name": default, **value}
    return value


@dataclass(frozen=True, eq=False)
class OneOf:
    """For annotations: one part of a table, as in `choice`; `shorthand` expands shorter forms.

    `Annotated[Clip, OneOf(CLIPS, "none")]` is a Clip for readers and type checkers, and a choice for pydantic.

    >>> from pydantic import TypeAdapter
    >>> from rnnlab.clips import CLIPS, Clip
    >>> TypeAdapter(Annotated[Clip, OneOf(CLIPS, "none")]).validate_python("norm")
    ClipNorm(name='norm', threshold=1.0)
    """

    parts: Mapping[str, type[Part]]
    default: str = ""
    shorthand: Shorthand | None = None
    """Applied first; may raise PydanticCustomError."""
    written: Any = None
    """The type of the shorter forms, for the JSON Schema."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        kind = choice(self.parts, self.default)
        if self.shorthand is not None:
            forms = kind if self.written is None else Union[self.written, kind]  # noqa: UP007
            kind = Annotated[kind, BeforeValidator(self.shorthand, json_schema_input_type=forms)]
        return handler.generate_schema(kind)

    def expanded(self, value: Any) -> Any:
        """The value as a mapping with a name, if it can be read as one."""
        short = self.shorthand is not None and not isinstance(value, (str, Mapping))
        return named(self.shorthand(value) if self.shorthand and short else value, self.default)


@dataclass(frozen=True, eq=False)
class NameIn:
    """For annotations: one of these names. A function is called when the schema is built.

    >>> from pydantic import TypeAdapter
    >>> TypeAdapter(Annotated[str, NameIn(["rnn", "lstm"])]).validate_python("lstm")
    'lstm'
    """

    names: Iterable[str] | Callable[[], Iterable[str]]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(list(self.names() if callable(self.names) else self.names))
