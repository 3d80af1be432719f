"""From a file, stdin, a mapping or a Config to a checked Config, or to everything that is wrong with it."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from rnnlab.config.checks import conflicts
from rnnlab.config.keys import owner_at
from rnnlab.config.mappings import plain_mapping, too_large
from rnnlab.config.messages import MOST_FAULTS, Located, problems, value_at
from rnnlab.config.overrides import Setting, override
from rnnlab.config.schema import Config
from rnnlab.config.shipped import shipped_name
from rnnlab.config.yaml_tree import MOST_BYTES, Node, Path, dotted, parse, position_in
from rnnlab.errors import ConfigError, PluginRefusedError, Problem, at_most, nearest
from rnnlab.plugins import load_installed, load_plugin, loaded, path_of, shown, used_by
from rnnlab.regular import CannotReadError, open_regular
from rnnlab.wording import shortened

STDIN = "stdin"


def load_config(source: Source, sets: Iterable[str | Setting] = (), *, allow_plugins: bool = False) -> Config:
    """The Config of a YAML file, `-` (stdin), a mapping or a Config, with `sets` overriding its values.

    A set is a text such as `model.hidden=50`; see `override`. `allow_plugins`: load what `plugins` names, which is code
    that then runs. Raises ConfigError with everything that is wrong, PluginRefusedError where a plugin is named that is
    neither loaded nor allowed, and PluginError for one that cannot be loaded.
    """
    document = document_of(source)
    if is_sweep(document):
        message = "this is a sweep, many runs; `rnnlab sweep` trains it, and `rnnlab.sweep` in Python"
        raise ConfigError([Problem("", message, place=document.name)])
    load_installed()
    document = with_plugins(document, allowed=allow_plugins)
    # The keys of plugins decide how the text of a setting is read.
    settings, unreadable = read_settings(sets)
    return check(document, settings, unreadable)


def check(document: Document, settings: Sequence[Setting] = (), unreadable: Iterable[Problem] = ()) -> Config:
    """The Config of a document with these settings. Raises ConfigError with everything that is wrong.

    `unreadable` are problems that are known already.
    """
    given, refused = override(document.value, settings)
    wrong, config, incomplete = [*document.problems], None, False
    try:
        config = _validated(given)
    except ValidationError as error:
        incomplete = error.error_count() > MOST_FAULTS
        refused_at = {problem.place for problem in refused}
        applied = [setting for setting in settings if setting.place not in refused_at]
        wrong += [_placed(path, problem, document, applied) for path, problem in _all_problems(error, given)]
    if config is not None:
        large = too_large(given, config)
        wrong += [_placed(path, problem, document, settings) for path, problem in large]
    wrong += [*unreadable, *refused]
    if wrong or config is None:
        raise ConfigError(at_most(sorted(wrong, key=_line_and_column), incomplete=incomplete))
    return config.model_copy(update={"plugins": _needed(config)})


def _needed(config: Config) -> tuple[str, ...]:
    """The plugins that a config has to name to be read again: those whose parts it uses, and that are not installed."""
    return tuple(plugin.name for plugin in used_by(config.parts()) if not plugin.distribution)


@dataclass(frozen=True)
class Document:
    """A config as it was given: a mapping that is not checked yet.

    >>> document = document_of({"task": "copy", "seed": 3})
    >>> check(document).seed
    3
    """

    value: Mapping[str, Any]
    name: str = ""
    """The file's; empty for a mapping."""
    tree: Node | None = None
    """Where in the file its keys stand."""
    problems: Sequence[Problem] = ()
    """What is wrong with it as YAML."""


def with_plugins(document: Document, *, allowed: bool) -> Document:
    """The document with absolute paths of the plugins that it names, which are loaded then.

    Raises PluginRefusedError for those that are neither loaded nor allowed. A list of anything but texts is left to the
    check of the config.
    """
    named = document.value.get("plugins")
    if not isinstance(named, list) or not all(isinstance(name, str) and name for name in named):
        return document
    folder = "" if document.name in ("", STDIN) else os.path.dirname(document.name)
    names, refused = list[str](), list[Problem]()
    for index, given in enumerate(named):
        name = path_of(given, folder) or given
        names.append(name)
        if allowed and loaded(name) is None:
            load_plugin(name)
        elif loaded(name) is None:
            place = document.tree.position_of(("plugins", index)).place(document.name) if document.tree else ""
            message = f"{shortened(given, 100)} is code, and runs only where you allow it; {_permission(name)}"
            refused.append(Problem("plugins", message, place=place))
    if refused:
        raise PluginRefusedError(at_most(refused))
    return replace(document, value={**document.value, "plugins": names})


def _permission(name: str) -> str:
    given = shlex.quote(shown(name) if path_of(name) else name)
    return f"--plugin {given} loads it, or --allow-plugins (in Python: rnnlab.load_plugin({name!r}))"


Source = str | os.PathLike[str] | Mapping[str, Any] | Config | Document


def is_sweep(document: Document) -> bool:
    """Whether it describes a sweep: a base, and how its runs vary."""
    return "base" in document.value or ("axes" in document.value and "task" not in document.value)


def read_settings(sets: Iterable[str | Setting]) -> tuple[list[Setting], list[Problem]]:
    """The settings of texts such as `model.hidden=50`, and the problems of those that cannot be read."""
    settings, unreadable = list[Setting](), list[Problem]()
    for item in sets:
        try:
            setting = item if isinstance(item, Setting) else Setting.read(item)
        except ConfigError as error:
            unreadable += error.problems
            continue
        if setting.path[0] == "plugins":
            unreadable.append(Problem("plugins", "cannot be set; --plugin loads one", place=setting.place))
        else:
            settings.append(setting)
    return settings, unreadable


def document_of(source: Source) -> Document:
    """A source, read but not checked. Raises ConfigError where it is no mapping."""
    if isinstance(source, Document):
        return source
    if isinstance(source, Config):
        return Document(source.resolved())
    if isinstance(source, Mapping):
        return Document(plain_mapping(source))
    text, name = read_text(source)
    tree, wrong = parse(text, name)
    if not isinstance(tree.content, dict):
        kind = "a list" if isinstance(tree.content, list) else "a single value"
        message = f"a config is a mapping of keys such as `task: addition`, and this is {kind}"
        raise ConfigError([*at_most(wrong), Problem("", message, place=tree.position.place(name))])
    return Document(tree.plain(), name, tree, wrong)


def read_text(source: str | os.PathLike[str]) -> tuple[str, str]:
    """A file's text, or that of stdin for `-`, and its name. Raises ConfigError."""
    name = STDIN if os.fspath(source) == "-" else os.fspath(source)
    try:
        if name == STDIN:
            raw = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with open_regular(source) as file:
                raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}{_remedy(error, name)}"
        raise ConfigError([Problem("", message, place=name)]) from error
    if len(raw) > MOST_BYTES:
        raise ConfigError([Problem("", f"more than {MOST_BYTES:,} bytes; this is no config", place=name)])
    try:
        return raw.decode("utf-8-sig"), name
    except UnicodeDecodeError as error:
        position = position_in(raw.decode("latin-1"), error.start)
        message = f"not UTF-8 text (the byte 0x{raw[error.start]:02x}); save the file as UTF-8"
        raise ConfigError([Problem("", message, place=position.place(name))]) from error


def _remedy(error: OSError, name: str) -> str:
    if isinstance(error, FileNotFoundError):
        if ships := shipped_name(name):
            return f"; `rnnlab new --from {ships}` writes a copy of the one that ships with rnnlab"
        return "; `rnnlab new` writes one to start from"
    return "; give it on stdin, as -" if isinstance(error, CannotReadError) and "pipe" in str(error) else ""


def _validated(value: Any, *, checks: bool = True) -> Config:
    # Strict, and as JSON: true is no number and "3" neither, while a list may become a tuple and text a path.
    return Config.model_validate_json(json.dumps(value), strict=True, context={"checks": checks})


def _all_problems(error: ValidationError, given: Mapping[str, Any]) -> list[Located]:
    """The problems that pydantic has, and the conflicts between keys that have no problem of their own.

    pydantic looks for conflicts only where all else is right. So the config is validated again without the wrong keys,
    and a conflict counts if no key that is wrong, or was meant by a misspelt one, had a part in it.
    """
    located = list(problems(error, given))
    too_many = error.error_count() > MOST_FAULTS
    if too_many or any(fault["type"] == "conflict" for fault in error.errors(include_url=False)):
        return located
    wrong = {path for path, _ in located}
    try:
        config = _validated(_without_wrong(given, wrong), checks=False)
    except ValidationError:
        return located
    doubtful = [*wrong, *_meant(wrong)]
    located += (
        (conflict.key, Problem(dotted(conflict.key), conflict.message))
        for conflict in conflicts(config)
        if not any(_overlap(key, path) for key in conflict.keys for path in doubtful)
    )
    return located


def _without_wrong(given: Mapping[str, Any], wrong: Iterable[Path]) -> dict[str, Any]:
    """The config without the wrong keys; a part or a list with something wrong inside goes as a whole."""
    remaining: dict[str, Any] = json.loads(json.dumps(given))
    for path in wrong:
        *above, key = next((path[:n] for n in range(1, len(path)) if _goes_whole(path, n)), path) or ("",)
        section = value_at(remaining, tuple(above))
        if isinstance(section, dict):
            section.pop(key, None)
    # There must be a task; which one does not matter where the given one is wrong.
    return {"task": "addition", **remaining}


def _goes_whole(path: Path, length: int) -> bool:
    """Whether the beginning of a path leads to a part of a table or a list."""
    owner = owner_at(path[:length])
    return isinstance(path[length], int) or (owner is not None and owner.choice is not None)


def _meant(wrong: Iterable[Path]) -> Iterator[Path]:
    """The keys that unknown ones may have been meant for."""
    for path in wrong:
        owner = owner_at(path[:-1])
        known = owner.fields() if owner else {}
        if path and path[-1] not in known and (near := nearest(str(path[-1]), known)):
            yield (*path[:-1], near)


def _overlap(first: Path, second: Path) -> bool:
    """Whether one path is the other, or leads into it."""
    return all(a == b for a, b in zip(first, second, strict=False))


def _placed(path: Path, problem: Problem, document: Document, settings: Sequence[Setting]) -> Problem:
    """The problem with its place: the setting that brought the value, or the position in the file."""
    absent = value_at(document.value, path) is None
    for setting in reversed(settings):
        brought = setting.path[: len(path)] == path or _named_by(setting, path)
        if (absent and brought) or path[: len(setting.path)] == setting.path:
            return replace(problem, place=setting.place)
    if document.tree is None:
        return problem
    position = document.tree.position_of(path, key=problem.message.startswith("there is no such key"))
    return replace(problem, place=position.place(document.name))


def _named_by(setting: Setting, path: Path) -> bool:
    """Whether a path leads to an option of the part that a setting such as task.name=text has chosen."""
    above, owner = setting.path[:-1], owner_at(setting.path[:-1])
    return setting.path[-1] == "name" and owner is not None and owner.choice is not None and path[:-1] == above


def _line_and_column(problem: Problem) -> tuple[int, int]:
    """To sort by. Settings have no line and come last."""
    match = re.search(r":(\d+):(\d+)$", problem.place)
    return (int(match[1]), int(match[2])) if match else (sys.maxsize, 0)
