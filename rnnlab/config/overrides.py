"""Settings that override a config: from `--set a.b=value`, from options of commands, and from the axes of a sweep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rnnlab.config.facts import excluded_by, without
from rnnlab.config.keys import field_at, is_text, owner_at
from rnnlab.config.yaml_tree import Path, value_of
from rnnlab.errors import ConfigError, Problem
from rnnlab.wording import encodable, shortened


@dataclass(frozen=True)
class Setting:
    """A key's new value, and where it was given.

    >>> setting = Setting.read("model.hidden=50")
    >>> setting.key, setting.value
    ('model.hidden', 50)
    >>> override({"task": "copy"}, [setting])
    ({'task': 'copy', 'model': {'hidden': 50}}, [])
    """

    path: Path
    value: Any
    place: str
    """The place that is shown before a problem with the value: `--set seed=x`, or a file's line and column."""

    @cached_property
    def key(self) -> str:
        """The path with dots."""
        return ".".join(map(str, self.path))

    @classmethod
    def read(cls, text: str) -> Setting:
        """The setting of a text `a.b=value`. Raises ConfigError where there is no `=`, or the value is no YAML."""
        key, equals, value = text.partition("=")
        place = f"--set {shortened(text)}"
        if not equals or not key.strip():
            raise ConfigError([Problem("", "write it as key=value, such as model.hidden=50", place=place)])
        return cls.of_text(tuple(key.strip().split(".")), value, place)

    @classmethod
    def of_text(cls, path: Path, text: str, place: str) -> Setting:
        """The setting of a text: YAML, or the text itself where the key takes any text. Raises ConfigError."""
        if encodable(text) != text:
            raise ConfigError([Problem(".".join(map(str, path)), "is not UTF-8 text", place=place)])
        field = field_at(path)
        if field is not None and is_text(field):
            return cls(path, None if text in ("null", "~", "") else text, place)
        try:
            return cls(path, value_of(text, place), place)
        except ConfigError as error:
            raise ConfigError([Problem(".".join(map(str, path)), error.problems[0].message, place=place)]) from error


def override(config: Mapping[str, Any], settings: Iterable[Setting]) -> tuple[dict[str, Any], list[Problem]]:
    """The config with the settings in it, and the problems of those that have no place in it.

    The order of the settings does not matter, except that the last of two for one key wins.

    A bare name on the way becomes a mapping: `model.init.recurrent.gain` on `recurrent: orthogonal`. A new name for a
    part keeps the options that the new part has as well and drops the others. A new value for a whole part keeps none.
    A key takes the place of the key that it excludes: train.updates that of train.epochs.
    """
    # The shorter key first, and a part's name before its options.
    ordered = sorted(settings, key=lambda setting: (len(setting.path), setting.path[-1] != "name"))
    result, problems = dict(config), list[Problem]()
    overridden = {setting.key for setting in ordered}
    for setting in ordered:
        try:
            _put(result, setting)
        except ConfigError as error:
            problems += error.problems
        excluded = excluded_by(setting.key)
        if excluded and excluded not in overridden:
            result = without(result, [excluded])
    return result, problems


def _put(config: dict[str, Any], setting: Setting) -> None:
    """Set the value of a key. Mappings on its path are replaced by copies; those of the caller do not change."""
    node = config
    for depth, step in enumerate(setting.path[:-1], 1):
        inner = _as_mapping(setting.path[:depth], node.get(str(step)), setting)
        node[str(step)] = node = inner
    key = str(setting.path[-1])
    node[key] = setting.value
    if key == "name":
        _drop_foreign_options(node, setting.path[:-1])


def _as_mapping(path: Path, value: Any, setting: Setting) -> dict[str, Any]:
    """The value at a path on the way of a setting, as a new mapping. Raises ConfigError where it cannot have keys."""
    owner = owner_at(path)
    if value is None and (owner is not None or field_at(path) is None):
        return {}
    if owner is not None and not owner.alone and not isinstance(value, Mapping):
        return {}
    if path == ("model", "init") and isinstance(value, str):
        return {"preset": value}
    mapping = owner.choice.expanded(value) if owner and owner.choice else value
    if not isinstance(mapping, Mapping):
        key = ".".join(map(str, path))
        raise ConfigError([Problem(key, "has no keys of its own", place=setting.place)])
    return dict(mapping)


def _drop_foreign_options(part: dict[str, Any], path: Path) -> None:
    """Drop the options that belong to other parts of the table. Keys that no part knows stay, to be reported."""
    owner = owner_at(path)
    if owner is None or owner.choice is None or not isinstance(part["name"], str) or part["name"] not in owner.models:
        return
    for option in [key for key in part if key not in owner.fields(part["name"]) and owner.having(key)]:
        del part[option]
