"""Settings laid over a config: `--set a.b=value`, and the options that stand for one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rnnlab.config.facts import excluded_by, without
from rnnlab.config.keys import field_at, is_text, owner_at
from rnnlab.config.tree import Path, value_of
from rnnlab.errors import ConfigError, Problem

_LONGEST = 60


@dataclass(frozen=True)
class Setting:
    """A key's new value, and how it was given: the place that a problem with it is at."""

    path: Path
    value: Any
    place: str

    @classmethod
    def read(cls, given: str) -> Setting:
        """From `a.b=value`. Raises ConfigError where there is no `=`, or the value is no YAML."""
        key, equals, text = given.partition("=")
        place = f"--set {given if len(given) <= _LONGEST else given[: _LONGEST - 3] + '...'}"
        if not equals or not key.strip():
            raise ConfigError([Problem("", "write it as key=value, such as model.hidden=50", place=place)])
        return cls.of_text(tuple(key.strip().split(".")), text, place)

    @classmethod
    def of_text(cls, path: Path, text: str, place: str) -> Setting:
        """With the text read as YAML, or as it is where the key takes any text. Raises ConfigError."""
        return cls(path, _value(path, text, place), place)


def _value(path: Path, text: str, place: str) -> Any:
    field = field_at(path)
    if field is not None and is_text(field):
        return None if text in ("null", "~", "") else text
    try:
        return value_of(text, place)
    except ConfigError as error:
        raise ConfigError([Problem(".".join(map(str, path)), error.problems[0].message, place=place)]) from error


def lay_over(config: Mapping[str, Any], settings: Iterable[Setting]) -> tuple[dict[str, Any], list[Problem]]:
    """The config with the settings in it, in whatever order they were given, and what could not be put in.

    Of two settings for one key the last wins.

    A bare name on the way is written out: `model.init.recurrent.gain` on `recurrent: orthogonal`. A new name for a part
    keeps those of its options that the new part has as well and drops the others; a new value for the whole part keeps
    none. train.updates takes the place of train.epochs, and the other way round.
    """
    # The shorter key first, and a part's name before its options.
    ordered = sorted(settings, key=lambda one: (len(one.path), one.path[-1] != "name"))
    result, problems = dict(config), list[Problem]()
    given = {".".join(map(str, one.path)) for one in ordered}
    for setting in ordered:
        try:
            _put(result, setting, setting.value)
        except ConfigError as error:
            problems += error.problems
        excluded = excluded_by(".".join(map(str, setting.path)))
        if excluded and excluded not in given:
            result = without(result, [excluded])
    return result, problems


def _put(config: dict[str, Any], setting: Setting, value: Any) -> None:
    """Put the value in its place, in mappings of our own all the way down."""
    node = config
    for depth, step in enumerate(setting.path[:-1], 1):
        inner = _written_out(setting.path[:depth], node.get(str(step)), setting)
        node[str(step)] = node = inner
    key = str(setting.path[-1])
    node[key] = value
    if key == "name":
        _keep_what_fits(node, setting.path[:-1], value)


def _written_out(path: Path, value: Any, setting: Setting) -> dict[str, Any]:
    """What stands at a path on the way, as a mapping."""
    owner = owner_at(path)
    if value is None and (owner is not None or field_at(path) is None):
        return {}
    if owner is not None and not owner.alone and not isinstance(value, Mapping):
        return {}
    if path == ("model", "init") and isinstance(value, str):
        return {"preset": value}
    whole = owner.choice.expanded(value) if owner and owner.choice else value
    if not isinstance(whole, Mapping):
        key = ".".join(map(str, path))
        raise ConfigError([Problem(key, "has no keys of its own", place=setting.place)])
    return dict(whole)


def _keep_what_fits(part: dict[str, Any], path: Path, name: Any) -> None:
    owner = owner_at(path)
    if owner is None or owner.choice is None or name not in owner.models:
        return
    for option in [key for key in part if key not in owner.fields(name) and owner.having(key)]:
        del part[option]
