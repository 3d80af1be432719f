"""Of any part: it says what it is, refuses unknown options and stays as it is."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import ValidationError

from rnnlab.parts import Part
from rnnlab.testing.laws import law, made


def check_part(part: Part | type[Part]) -> None:
    """Raise AssertionError unless the part keeps the laws of every part; the other checks begin with these.

    It has a docstring whose first sentence says what it does, its `name` is the default of that field and in lower
    case, each option has a description, an unknown option is refused, a part never changes, and one that was written
    out and read again is the same.
    """
    kind, built = (part, made(part)) if isinstance(part, type) else (type(part), part)
    own = inspect.cleandoc(kind.__doc__ or "").strip()
    law(own, f"{kind.__name__} has a docstring, whose first sentence says what it does")
    law(
        kind.model_fields["name"].default == built.name,
        "`name` is a Literal with itself as default",
        built.name,
    )
    law(built.name == built.name.lower(), "the name of a part is in lower case", built.name)
    bare = [key for key, field in kind.model_fields.items() if key != "name" and not field.description]
    law(not bare, "each option has a description: Field(description=...)", ", ".join(bare))
    written = built.model_dump(mode="json")
    law(kind.model_validate(written) == built, "a part that is written out and read again is the same", written)
    law(_refuses(kind, {**written, "no_such_option": 1}), "an unknown option is refused (model_config is Part's)")
    law(_is_frozen(built), "a part stays as it is (model_config is Part's, frozen)")


def _refuses(kind: type[Part], options: dict[str, Any]) -> bool:
    try:
        kind.model_validate(options)
    except ValidationError:
        return True
    return False


def _is_frozen(part: Part) -> bool:
    try:
        part.name = part.name
    except ValidationError:
        return True
    return False
