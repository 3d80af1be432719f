"""Conditions on runs, as text: `task.length >= 100`, `model.cell = [lstm, gru]`, `status != failed`."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnnlab.errors import ConfigError, UsageError, nearest
from rnnlab.wording import shortened

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
_MOST_SHOWN = 8
_HINT = "write KEY, then one of = != < <= > >=, then a value, such as task.length>=100"


@dataclass(frozen=True)
class Condition:
    """One condition: a dotted key, a sign, and one value or several, one of which the setting must have.

    >>> from rnnlab.compare.conditions import condition
    >>> long = condition("task.length >= 100")
    >>> long.holds({"task.length": 200}), long.holds({"task.length": 50})
    (True, False)
    """

    key: str
    sign: str
    values: tuple[Any, ...]
    text: str
    """The value as it was written; a setting that is text is compared with it as well."""

    def holds(self, facts: Mapping[str, Any]) -> bool:
        """Whether it holds; a run without that setting fulfils `!=` and nothing else."""
        setting = facts.get(named(self.key, facts))
        if self.sign in ("=", "=="):
            return self._is_among_values(setting)
        if self.sign == "!=":
            return not self._is_among_values(setting)
        return _is_number(setting) and _SIGNS[self.sign](setting, self.values[0])

    def _is_among_values(self, setting: Any) -> bool:
        if isinstance(setting, list) and setting == list(self.values):
            return True
        if isinstance(setting, str) and setting == self.text:
            return True
        return any(_same(setting, value) for value in self.values)

    def unmet(self, runs: Sequence[Mapping[str, Any]]) -> str:
        """What there is, with the nearest, where none of the runs fulfils it; empty where one does.

        >>> from rnnlab.compare.conditions import condition
        >>> condition("model.cell = gur").unmet([{"model.cell": "gru"}, {"model.cell": "lstm"}])
        "no run has model.cell = gur; did you mean 'gru'? (there are gru, lstm)"
        """
        if not runs or any(self.holds(facts) for facts in runs):
            return ""
        found = sorted({str(facts[key]) for facts in runs if (key := named(self.key, facts)) in facts})
        near = nearest(self.text, found) if found else None
        hint = f"; did you mean {near!r}?" if near and near != self.text else ""
        shown = [*found[:_MOST_SHOWN], *(["..."] if len(found) > _MOST_SHOWN else [])]
        there = f" (there {'is' if len(found) == 1 else 'are'} {', '.join(shown)})" if found else ""
        return f"no run has {self.key} {self.sign} {shortened(self.text)}{hint}{there}"

    def check(self, known: Collection[str]) -> None:
        """Raise UsageError where none of the runs has such a key."""
        key_among(self.key, {*known, *(key.removesuffix(".name") for key in known)})


def condition(text: str) -> Condition:
    """The condition that a text stands for. Raises UsageError, with a hint, for any other text."""
    match = _FORM.fullmatch(text)
    if match is None or not match[3]:
        raise UsageError(f"{shortened(repr(text))} is no condition; {_HINT}")
    key, sign, written = match.groups()
    values = _values(written, text)
    if sign in ("<", "<=", ">", ">=") and not (len(values) == 1 and _is_number(values[0])):
        raise UsageError(f"{shortened(repr(text))} is no condition: {sign} compares with a number")
    return Condition(key, sign, values, written)


def key_among(key: str, known: Collection[str]) -> str:
    """The key, if it is known; raises UsageError with the nearest one."""
    if key in known:
        return key
    near = nearest(key, known) or nearest(key, [name.rpartition(".")[2] for name in known])
    full = next((name for name in known if name == near or name.endswith(f".{near}")), near)
    raise UsageError(f"no run has a setting {shortened(repr(key))}" + (f"; did you mean {full!r}?" if near else ""))


def named(key: str, facts: Collection[str]) -> str:
    """`clip` stands for `clip.name`, as it does in a config."""
    return key if key in facts else f"{key}.name"


def _values(written: str, text: str) -> tuple[Any, ...]:
    # Imported here: most commands have no condition and do not need YAML.
    from rnnlab.config.yaml_tree import value_of

    try:
        value = value_of(written, text)
    except ConfigError as error:
        raise UsageError(
            f"{shortened(repr(text))} is no condition: {error.problems[0].message}; put text in quotes"
        ) from error
    if isinstance(value, dict):
        raise UsageError(
            f"{shortened(repr(text))} is no condition: no setting is a mapping; name one of its keys, such as clip.name"
        )
    return tuple(value) if isinstance(value, list) else (value,)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(setting: Any, value: Any) -> bool:
    if _is_number(setting) and _is_number(value):
        return bool(setting == value)
    if isinstance(setting, str):
        # A name is text, also where it looks like a number: `name = [1, 2]`.
        return bool(setting == (str(value) if _is_number(value) else value))
    return type(setting) is type(value) and bool(setting == value)


def plain(value: Any) -> Any:
    """A value of a setting as one that can be compared and hashed; 1, 1.0 and true stay three different things."""
    return (type(value), value) if isinstance(value, (str, int, float, type(None))) else json.dumps(value, default=str)
