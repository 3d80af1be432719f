"""What pydantic found wrong, in plain words, at the key as the user wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from pydantic import ValidationError

from rnnlab.config.keys import known_keys, owner_at
from rnnlab.config.tree import Path, dotted
from rnnlab.errors import Problem, nearest
from rnnlab.parts import Part

Fault = Mapping[str, Any]
Found = tuple[Path, Problem]

# What a value must be, by pydantic's kind of error.
_WANTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text (in quotes)",
    "path_type": "a path",
    "list_type": "a list",
    "tuple_type": "a list",
    "too_short": "a list that is not empty",
    "dict_type": "a mapping of keys",
    "model_type": "a mapping of keys",
    "greater_than": "above {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "below {lt}",
    "less_than_equal": "{le} or less",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "literal_error": "one of the choices",
}
_LONGEST = 60


def problems(error: ValidationError, given: Any) -> Iterator[Found]:
    """Each thing wrong with what was given, with its path there; the branches of a union are told as one."""
    faults = [(_path(fault, given), fault) for fault in error.errors(include_url=False)]
    within = {path[:-1] for path, _ in faults if path}
    for path, group in groupby(faults, key=lambda one: one[0]):
        same = [fault for _, fault in group]
        if path in within and isinstance(at(given, path), Mapping) and any(f["type"] == "literal_error" for f in same):
            continue  # the branch of the union that is a mapping says what is wrong inside it
        if all(fault["type"] in _WANTED for fault in same):
            yield path, _not_wanted(path, same)
        else:
            yield from (_told(path, fault, given) for fault in same)


def at(given: Any, path: Path) -> Any:
    """The value at a path, or None where there is none."""
    for step in path:
        there = isinstance(given, Mapping) and step in given
        given = given[step] if there or _has_index(given, step) else None
    return given


def shown(value: Any) -> str:
    """A value as it may have been written, in a few characters."""
    text = f"'{value}'" if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = "".join(one if one.isprintable() else "?" for one in text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _path(fault: Fault, given: Any) -> Path:
    """Where a fault is in what was given: its place without the names of parts and of a union's branches."""
    place: Path = fault["loc"]
    if fault["type"] == "conflict":
        return place
    path: Path = ()
    for step in place:
        if (isinstance(given, Mapping) and step in given) or _has_index(given, step):
            path, given = (*path, step), given[step]
    return (*path, place[-1]) if fault["type"] == "missing" else path


def _has_index(given: Any, step: Any) -> bool:
    return isinstance(given, list) and isinstance(step, int) and step < len(given)


def _told(path: Path, fault: Fault, given: Any) -> Found:
    """One fault as a problem."""
    kind, value, key = fault["type"], fault["input"], dotted(path)
    if kind == "extra_forbidden":
        return path, _unknown(path, fault["loc"])
    if kind == "missing":
        return path, _missing(path, fault["loc"])
    if kind in ("union_tag_invalid", "union_tag_not_found", "model_attributes_type"):
        return _no_part(path, value, at(given, path))
    if kind == "value_error":
        return _own_words(path, str(fault["ctx"]["error"]))
    if kind == "init_place":
        return path, Problem(key, fault["msg"], fault["ctx"]["choices"], fault["ctx"]["given"])
    if kind in ("conflict", "init_radius"):
        return path, Problem(key, fault["msg"])
    if kind in _WANTED:
        return path, _not_wanted(path, [fault])
    return path, Problem(key, re.sub(r"^\w+ should ", "must ", fault["msg"]) + f", not {shown(value)}")


def _not_wanted(path: Path, faults: Sequence[Fault]) -> Problem:
    """A value of the wrong kind or size; several faults are the branches of a union."""
    value = faults[0]["input"]
    choices = [name for fault in faults for name in _choices(fault)]
    given = value if isinstance(value, str) else ""
    if given and len(faults) == 1 and choices:
        return Problem(dotted(path), f"{shown(value)} is not known", choices, given)
    ordered = sorted(faults, key=lambda fault: fault["type"] == "literal_error")
    wanted = dict.fromkeys(_WANTED[fault["type"]].format_map(_numbers(fault)) for fault in ordered)
    message = f"must be {' or '.join(wanted)}, not {shown(value)}"
    hint = _hint(path)
    return Problem(dotted(path), f"{message}; {hint}" if hint else message, choices, given)


def _hint(path: Path) -> str:
    """What a part has to say of a wrong value of its option."""
    owner = owner_at(path[:-1]) if path else None
    parts = [model for model in (owner.models.values() if owner else ()) if issubclass(model, Part)]
    return next((part.hints[str(path[-1])] for part in parts if path[-1] in part.hints), "")


def _numbers(fault: Fault) -> dict[str, str]:
    """The bounds that a fault names, as they are read: 1,000,000 and 0.5."""
    bounds = {key: value for key, value in fault.get("ctx", {}).items() if isinstance(value, (int, float))}
    return {key: f"{int(value):,}" if value == int(value) else f"{value:g}" for key, value in bounds.items()}


def _choices(fault: Fault) -> list[str]:
    return re.findall(r"'([^']*)'", fault["ctx"]["expected"]) if fault["type"] == "literal_error" else []


def _missing(path: Path, place: Path) -> Problem:
    above, owner = owner_at(path[:-1]), owner_at(path)
    field = above.fields(_part(place)).get(str(path[-1])) if above else None
    what = f": {field.description}" if field is not None and field.description else ""
    return Problem(dotted(path), f"is needed{what}", [*owner.models] if owner and owner.choice else ())


def _no_part(path: Path, value: Any, given: Any) -> Found:
    """No part of the table: `value` is what was given with a name put in, where it could be."""
    owner = owner_at(path)
    choices = [*owner.models] if owner else []
    name = value.get("name") if isinstance(value, Mapping) else None
    if isinstance(given, Mapping) and "name" in given:
        path = (*path, "name")
    if isinstance(name, str):
        return path, Problem(dotted(path), f"{shown(name)} is not known", choices, name)
    wanted = "needs a name" if isinstance(given, Mapping) else f"must be a name or a mapping, not {shown(given)}"
    return path, Problem(dotted(path), wanted if name is None else f"must be a name, not {shown(name)}", choices)


def _own_words(path: Path, message: str) -> Found:
    """A validator's own message, which may begin with the key inside the part that it is about."""
    found, owner = re.match(r"([a-z_.]+): ", message), owner_at(path)
    inner = tuple(found[1].split(".")) if found else ()
    if found and owner and inner[0] in owner.fields():
        path, message = (*path, *inner), message[found.end() :]
    return path, Problem(dotted(path), message)


def _unknown(path: Path, place: Path) -> Problem:
    key, owner, part = str(path[-1]), owner_at(path[:-1]), _part(place)
    if owner is None:
        return Problem(dotted(path), "there is no such key")
    own = owner.fields(part)
    if others := [name for name in owner.having(key) if part in owner.models]:
        return Problem(dotted(path), f"is an option of {', '.join(others)}, not of {part}", [*own])
    message, elsewhere = "there is no such key", _elsewhere(key)
    if elsewhere and not nearest(key, own):
        message += f" here; did you mean '{elsewhere}'?"
    return Problem(dotted(path), message, [*own], key)


def _part(place: Path) -> str:
    """The part that the last step of a fault's place belongs to, if it is in a part at all."""
    return str(place[-2]) if len(place) > 1 else ""


def _elsewhere(key: str) -> str | None:
    """The full name of a key that belongs somewhere else."""
    found = [name for name in known_keys() if name.rpartition(".")[2] == key]
    return min(found, key=lambda name: name.count("."), default=None)
