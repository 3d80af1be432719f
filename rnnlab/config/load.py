"""From a file, stdin, a mapping or a Config, with settings laid over it, to a Config; or everything that is wrong."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from rnnlab.config.keys import owner_at
from rnnlab.config.misfits import conflicts
from rnnlab.config.schema import Config
from rnnlab.config.settings import Setting, lay_over
from rnnlab.config.tree import MOST_BYTES, Node, Path, dotted, parse, spot_in
from rnnlab.config.words import Found, at, problems
from rnnlab.errors import ConfigError, Problem, nearest

MOST_PROBLEMS = 50
STDIN = "stdin"


def load_config(source: Source, sets: Iterable[str | Setting] = ()) -> Config:
    """The Config that a YAML file, `-` (stdin), a mapping or a Config stands for, with `sets` laid over it.

    A set is text such as `model.hidden=50`; see `lay_over`. Raises ConfigError with everything that is wrong.
    """
    settings, unreadable = read_settings(sets)
    document = document_of(source)
    if is_sweep(document):
        message = "this is a sweep, many runs; `rnnlab sweep` trains it, and `rnnlab.sweep` in Python"
        raise ConfigError([Problem("", message, place=document.name)])
    return check(document, settings, unreadable)


def check(document: Document, settings: Sequence[Setting] = (), unreadable: Iterable[Problem] = ()) -> Config:
    """The Config that a document with these settings laid over it is. Raises ConfigError with everything wrong."""
    given, unfit = lay_over(document.value, settings)
    found, config = [*document.problems], None
    try:
        config = _checked(given)
    except ValidationError as error:
        applied = [one for one in settings if one.place not in {problem.place for problem in unfit}]
        found += [_placed(path, problem, document, applied) for path, problem in _all(error, given)]
    found += [*unreadable, *unfit]
    if found or config is None:
        raise ConfigError(_not_too_many(sorted(found, key=_order)))
    return config


@dataclass(frozen=True)
class Document:
    """What was given, where its keys stand, and what is wrong with it as YAML."""

    value: Mapping[str, Any]
    name: str = ""
    tree: Node | None = None
    problems: Sequence[Problem] = ()


Source = str | os.PathLike[str] | Mapping[str, Any] | Config | Document


def is_sweep(document: Document) -> bool:
    """Whether it describes many runs: a base, and how they vary."""
    return "base" in document.value or ("axes" in document.value and "task" not in document.value)


def read_settings(sets: Iterable[str | Setting]) -> tuple[list[Setting], list[Problem]]:
    """The settings that texts such as `model.hidden=50` stand for, and what is wrong with the others."""
    read, wrong = list[Setting](), list[Problem]()
    for one in sets:
        try:
            read.append(one if isinstance(one, Setting) else Setting.read(one))
        except ConfigError as error:
            wrong += error.problems
    return read, wrong


def document_of(source: Source) -> Document:
    """A source, read as YAML and no further. Raises ConfigError."""
    if isinstance(source, Document):
        return source
    if isinstance(source, Config):
        return Document(source.resolved())
    if isinstance(source, Mapping):
        return Document(to_jsonable_python(source, fallback=_plain))
    text, name = read_text(source)
    tree, wrong = parse(text, name)
    if not isinstance(tree.content, dict):
        kind = "a list" if isinstance(tree.content, list) else "a single value"
        message = f"a config is a mapping of keys such as `task: addition`, and this is {kind}"
        raise ConfigError([*wrong, Problem("", message, place=f"{name}:{tree.spot.line}:{tree.spot.column}")])
    return Document(tree.plain(), name, tree, wrong)


def _plain(value: Any) -> Any:
    """A number or an array of NumPy's, as Python's own."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise ConfigError([Problem("", f"a {type(value).__name__} cannot stand in a config")])


def read_text(source: str | os.PathLike[str]) -> tuple[str, str]:
    """A file's text, or that of stdin for `-`, and its name. Raises ConfigError."""
    name = STDIN if os.fspath(source) == "-" else os.fspath(source)
    try:
        if name == STDIN:
            raw = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with FilePath(source).open("rb") as file:
                raw = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        cure = "; `rnnlab new` writes one to start from" if isinstance(error, FileNotFoundError) else ""
        raise ConfigError([Problem("", f"cannot be read: {why}{cure}", place=name)]) from error
    if len(raw) > MOST_BYTES:
        raise ConfigError([Problem("", f"more than {MOST_BYTES:,} bytes; this is no config", place=name)])
    try:
        return raw.decode("utf-8-sig"), name
    except UnicodeDecodeError as error:
        spot = spot_in(raw.decode("latin-1"), error.start)
        message = f"not UTF-8 text (the byte 0x{raw[error.start]:02x}); save the file as UTF-8"
        raise ConfigError([Problem("", message, place=f"{name}:{spot.line}:{spot.column}")]) from error


def _checked(given: Any, *, checks: bool = True) -> Config:
    # Strict, and as JSON: true is no number and "3" neither, while a list may become a tuple and text a path.
    return Config.model_validate_json(json.dumps(given), strict=True, context={"checks": checks})


def _all(error: ValidationError, given: Mapping[str, Any]) -> list[Found]:
    """What pydantic found, and the conflicts among the keys that it found nothing wrong with."""
    found = list(problems(error, given))
    bad = {path for path, _ in found}
    if any(fault["type"] == "conflict" for fault in error.errors(include_url=False)):
        return found
    try:
        config = _checked(_without(given, bad), checks=False)
    except ValidationError:
        return found
    doubtful = [*bad, *_meant(bad, given)]
    sound = (one for one in conflicts(config) if not any(_touch(key, path) for key in one.keys for path in doubtful))
    return [*found, *((one.key, Problem(dotted(one.key), one.message)) for one in sound)]


def _without(given: Mapping[str, Any], bad: Iterable[Path]) -> dict[str, Any]:
    """The config without the keys that are wrong, parts and lists going as a whole; there is a task in any case."""
    rest: dict[str, Any] = json.loads(json.dumps(given))
    for path in bad:
        *above, key = next((path[:n] for n in range(1, len(path)) if _goes_whole(path, n)), path) or ("",)
        node = at(rest, tuple(above))
        if isinstance(node, dict):
            node.pop(key, None)
    return {"task": "addition", **rest}


def _goes_whole(path: Path, length: int) -> bool:
    owner = owner_at(path[:length])
    return isinstance(path[length], int) or (owner is not None and owner.choice is not None)


def _meant(bad: Iterable[Path], given: Mapping[str, Any]) -> Iterator[Path]:
    """The keys that unknown ones may have been meant for."""
    for path in bad:
        owner = owner_at(path[:-1])
        known = owner.fields() if owner else {}
        if path and path[-1] not in known and (near := nearest(str(path[-1]), known)):
            yield (*path[:-1], near)


def _touch(one: Path, other: Path) -> bool:
    """Whether one is the other, or inside it."""
    return all(a == b for a, b in zip(one, other, strict=False))


def _placed(path: Path, problem: Problem, document: Document, settings: Sequence[Setting]) -> Problem:
    """The problem with its place: that of the setting it came in with, or of the file's line."""
    for setting in reversed(settings):
        brought = setting.path[: len(path)] == path and at(document.value, path) is None
        if brought or path[: len(setting.path)] == setting.path:
            return replace(problem, place=setting.place)
    if document.tree is None:
        return problem
    spot = document.tree.spot_of(path, key=problem.message.startswith("there is no such key"))
    return replace(problem, place=f"{document.name}:{spot.line}:{spot.column}")


def _order(problem: Problem) -> tuple[int, int]:
    """By line and column; settings have neither and come last."""
    found = re.search(r":(\d+):(\d+)$", problem.place)
    return (int(found[1]), int(found[2])) if found else (sys.maxsize, 0)


def _not_too_many(found: list[Problem]) -> list[Problem]:
    more = len(found) - MOST_PROBLEMS
    return found if more <= 0 else [*found[:MOST_PROBLEMS], Problem("", f"... and {more} more")]
