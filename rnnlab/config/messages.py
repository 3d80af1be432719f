"""Messages about a config: pydantic's errors in plain words, each at the key as the user wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from pydantic import ValidationError

from rnnlab.config.keys import known_keys, owner_at
from rnnlab.config.yaml_tree import Path, dotted
from rnnlab.errors import Problem, nearest
from rnnlab.parts import Part
from rnnlab.wording import shortened

MOST_FAULTS = 5_000
"""Faults that are looked at: each takes time, and a file has room for 100,000."""
_MOST_COUNTED = 1e19
"""A larger bound is written as 1e+300."""

Fault = Mapping[str, Any]
Located = tuple[Path, Problem]

# What a value must be, by pydantic's type of error.
_EXPECTED = {
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


def problems(error: ValidationError, given: Any) -> Iterator[Located]:
    """The problems that pydantic's error stands for, each with its path in what was given; of its first MOST_FAULTS.

    Where no branch of a union fits, pydantic has an error for each; together they are one problem.
    """
    located = [(_path(fault, given), fault) for fault in error.errors(include_url=False)[:MOST_FAULTS]]
    sections_with_faults = {path[:-1] for path, _ in located if path}
    for path, group in groupby(located, key=lambda pair: pair[0]):
        faults = [fault for _, fault in group]
        is_mapping = path in sections_with_faults and isinstance(value_at(given, path), Mapping)
        if is_mapping and any(fault["type"] == "literal_error" for fault in faults):
            continue  # of a bare name or a mapping, it is the mapping, and what is wrong inside it has its own problem
        if all(fault["type"] in _EXPECTED for fault in faults):
            yield path, _wrong_value(path, faults)
        else:
            yield from (_problem_of(path, fault, given) for fault in faults)


def unknown_options(wrong: Sequence[Path], given: Any) -> Iterator[Located]:
    """Beside the unknown name of a part, the options that no part of its kind has: pydantic stops at the name."""
    for path in wrong:
        owner = owner_at(path[:-1]) if path and path[-1] == "name" else None
        beside = value_at(given, path[:-1])
        if owner is None or owner.choice is None or not isinstance(beside, Mapping):
            continue
        name = beside.get("name")
        if not isinstance(name, str) or name in owner.models:
            continue
        known = owner.fields()
        for option in beside:
            here = (*path[:-1], str(option))
            if option not in known and here not in wrong:
                near = nearest(str(option), known)
                hint = f"; did you mean '{near}'?" if near else ""
                yield here, Problem(dotted(here), f"there is no such key, whatever the name is{hint}")


def value_at(given: Any, path: Path) -> Any:
    """The value at a path, or None where there is none."""
    for step in path:
        given = given[step] if _has(given, step) else None
    return given


def format_value(value: Any) -> str:
    """A value as it may have been written, cut to a few characters."""
    text = f"'{value}'" if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return shortened("".join(character if character.isprintable() else "?" for character in text))


def _path(fault: Fault, given: Any) -> Path:
    """The path of a fault in what was given: pydantic's, without the names of parts and of a union's branches."""
    location: Path = fault["loc"]
    if fault["type"] == "conflict":
        return location
    path: Path = ()
    for step in location:
        if _has(given, step):
            path, given = (*path, step), given[step]
    return (*path, location[-1]) if fault["type"] == "missing" else path


def _has(given: Any, step: str | int) -> bool:
    """Whether a mapping has this key, or a list this index."""
    if isinstance(given, list):
        return isinstance(step, int) and step < len(given)
    return isinstance(given, Mapping) and step in given


def _problem_of(path: Path, fault: Fault, given: Any) -> Located:
    """The problem that one fault stands for, and its path."""
    kind, value, key = fault["type"], fault["input"], dotted(path)
    if kind == "extra_forbidden":
        return path, _unknown_key(path, fault["loc"])
    if kind == "missing":
        return path, _missing_key(path, fault["loc"])
    if kind in ("union_tag_invalid", "union_tag_not_found", "model_attributes_type"):
        return _unknown_part(path, value, value_at(given, path))
    if kind == "value_error":
        return _validator_problem(path, str(fault["ctx"]["error"]))
    if kind == "init_place":
        return path, Problem(key, fault["msg"], fault["ctx"]["choices"], fault["ctx"]["given"])
    if kind in ("conflict", "init_radius"):
        return path, Problem(key, fault["msg"])
    if kind in _EXPECTED:
        return path, _wrong_value(path, [fault])
    return path, Problem(key, re.sub(r"^\w+ should ", "must ", fault["msg"]) + f", not {format_value(value)}")


def _wrong_value(path: Path, faults: Sequence[Fault]) -> Problem:
    """A value of the wrong type or size. Several faults are the branches of a union."""
    value = faults[0]["input"]
    choices = [name for fault in faults for name in _choices(fault)]
    given = value if isinstance(value, str) else ""
    if given and len(faults) == 1 and choices:
        return Problem(
            dotted(path), f"{format_value(value)} is not known{_of_one_place(path, given, choices)}", choices, given
        )
    ordered = sorted(faults, key=lambda fault: fault["type"] == "literal_error")
    expected = dict.fromkeys(_EXPECTED[fault["type"]].format_map(_bounds(fault)) for fault in ordered)
    message = f"must be {' or '.join(expected)}, not {format_value(value)}"
    hint = _hint(path) or _of_cell(path, value)
    return Problem(dotted(path), f"{message}; {hint}" if hint else message, choices, given)


def _hint(path: Path) -> str:
    """What a part has to say of a wrong value of its option."""
    owner = owner_at(path[:-1]) if path else None
    parts = [model for model in (owner.models.values() if owner else ()) if issubclass(model, Part)]
    return next((part.hints[str(path[-1])] for part in parts if path[-1] in part.hints), "")


def _of_cell(path: Path, value: Any) -> str:
    """A cell is named by a word, where other parts may be a mapping with their options."""
    if path != ("model", "cell") or not isinstance(value, Mapping):
        return ""
    return "a cell's options are keys of model, beside its name" + "".join(
        f", as model.{key}" for key in value if key != "name"
    )


def _bounds(fault: Fault) -> dict[str, str]:
    """The bounds that a fault names, formatted: 1,000,000 and 0.5."""
    bounds = {key: value for key, value in fault.get("ctx", {}).items() if isinstance(value, (int, float))}
    return {key: _bound(value) for key, value in bounds.items()}


def _bound(value: float) -> str:
    return f"{int(value):,}" if value == int(value) and abs(value) < _MOST_COUNTED else f"{value:g}"


def _choices(fault: Fault) -> list[str]:
    return re.findall(r"'([^']*)'", fault["ctx"]["expected"]) if fault["type"] == "literal_error" else []


def _missing_key(path: Path, location: Path) -> Problem:
    above, owner = owner_at(path[:-1]), owner_at(path)
    field = above.fields(_part(location)).get(str(path[-1])) if above else None
    description = f": {field.description}" if field is not None and field.description else ""
    return Problem(dotted(path), f"is needed{description}", [*owner.models] if owner and owner.choice else ())


def _unknown_part(path: Path, value: Any, given: Any) -> Located:
    """A name that is not in the table, or no name. `value` is `given` after a bare name became a mapping."""
    owner = owner_at(path)
    choices = [*owner.models] if owner else []
    name = value.get("name") if isinstance(value, Mapping) else None
    if isinstance(given, Mapping) and "name" in given:
        path = (*path, "name")
    if isinstance(name, str):
        return path, Problem(dotted(path), f"{format_value(name)} is not known", choices, name)
    if name is not None:
        message = f"must be a name, not {format_value(name)}"
    elif isinstance(given, Mapping):
        message = "needs a name"
    else:
        message = f"must be a name or a mapping, not {format_value(given)}"
    return path, Problem(dotted(path), message, choices)


def _of_one_place(path: Path, name: str, presets: Sequence[str]) -> str:
    """Where `model.init` is given the name of an initializer, which is for one place of it."""
    if path != ("model", "init") or nearest(name, presets):
        return ""
    from rnnlab.inits import INITS

    begun = [known for known in INITS if known.startswith(name)]
    meant = name if name in INITS else begun[0] if begun else nearest(name, INITS)
    return f"; an initializer is for one place: model.init.recurrent: {meant}" if meant else ""


def _validator_problem(path: Path, message: str) -> Located:
    """The problem that a validator of ours raised; the message may begin with the key inside the part that is meant."""
    match, owner = re.match(r"([a-z_.]+): ", message), owner_at(path)
    inner = tuple(match[1].split(".")) if match else ()
    if match and owner and inner[0] in owner.fields():
        path, message = (*path, *inner), message[match.end() :]
    return path, Problem(dotted(path), re.sub(r"\S{61,}", lambda word: shortened(word[0]), message))


def _unknown_key(path: Path, location: Path) -> Problem:
    key, owner, part = str(path[-1]), owner_at(path[:-1]), _part(location)
    if owner is None:
        return Problem(dotted(path), "there is no such key")
    own = owner.fields(part)
    if others := [name for name in owner.having(key) if part in owner.models]:
        return Problem(dotted(path), f"is an option of {', '.join(others)}, not of {part}", [*own])
    message, elsewhere = "there is no such key", _same_key_elsewhere(key)
    if elsewhere and not nearest(key, own):
        message += f" here; did you mean '{elsewhere}'?"
    return Problem(dotted(path), message, [*own], key)


def _part(location: Path) -> str:
    """The part that the last step of pydantic's location belongs to, or an empty text outside parts."""
    return str(location[-2]) if len(location) > 1 else ""


def _same_key_elsewhere(key: str) -> str | None:
    """The full name of a key of this name in another section, the outermost one."""
    names = [name for name in known_keys() if name.rpartition(".")[2] == key]
    return min(names, key=lambda name: name.count("."), default=None)
