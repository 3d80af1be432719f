"""Conditions on runs, as one writes them: `task.length >= 100`, `model.cell = [lstm, gru]`, `status != failed`."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from rnnlab.errors import UsageError, nearest

_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "==": operator.eq,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_FORM = re.compile(r"\s*([^\s<>=!]+)\s*(<=|>=|!=|==|=|<|>)\s*(.*?)\s*", re.DOTALL)
_CURE = "write KEY, then one of = != < <= > >=, then a value, such as task.length>=100"


@dataclass(frozen=True)
class Condition:
    """One condition: a dotted key, a sign, and one value or several of which one is to fit."""

    key: str
    sign: str
    values: tuple[Any, ...]

    def holds(self, facts: Mapping[str, Any]) -> bool:
        """Whether it holds; a run without that setting fulfils `!=` and nothing else."""
        found = facts.get(named(self.key, facts))
        if self.sign == "!=":
            return not any(_same(found, value) for value in self.values)
        if self.sign in ("=", "=="):
            return any(_same(found, value) for value in self.values)
        (value,) = self.values
        return _is_number(found) and _SIGNS[self.sign](found, value)

    def check(self, known: Collection[str]) -> None:
        """Raise UsageError where none of the runs has such a key."""
        key_among(self.key, {*known, *(key.removesuffix(".name") for key in known)})


def condition(text: str) -> Condition:
    """The condition that a text stands for. Raises UsageError, naming the cure, where it is none."""
    match = _FORM.fullmatch(text)
    if match is None or not match[3]:
        raise UsageError(f"{text!r} is no condition; {_CURE}")
    key, sign, given = match.groups()
    values = tuple(map(_value, given[1:-1].split(","))) if given[0] == "[" and given[-1] == "]" else (_value(given),)
    if sign in ("<", "<=", ">", ">=") and not (len(values) == 1 and _is_number(values[0])):
        raise UsageError(f"{text!r} is no condition: {sign} compares with a number")
    return Condition(key, sign, values)


def key_among(key: str, known: Collection[str]) -> str:
    """The key, if it is known; raises UsageError with the nearest one."""
    if key in known:
        return key
    near = nearest(key, known) or nearest(key, [one.rpartition(".")[2] for one in known])
    full = next((one for one in known if one == near or one.endswith(f".{near}")), near)
    raise UsageError(f"no run has a setting {key!r}" + (f"; did you mean {full!r}?" if near else ""))


def named(key: str, facts: Collection[str]) -> str:
    """`clip` stands for `clip.name`, as it does in a config."""
    return key if key in facts else f"{key}.name"


def _value(text: str) -> Any:
    text = text.strip()
    if text.lower() in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(found: Any, value: Any) -> bool:
    if _is_number(found) and _is_number(value):
        return bool(found == value)
    if isinstance(found, bool) or found is None or value is None:
        return found is value
    return str(found) == str(value)


def plain(value: Any) -> Any:
    """A value of a setting as one that can be compared and hashed; 1, 1.0 and true stay three different things."""
    return (type(value), value) if isinstance(value, (str, int, float, type(None))) else json.dumps(value, default=str)
