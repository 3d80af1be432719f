"""Reads a sweep file part by part: the base, the dimensions of the product, and all problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnlab.config import Setting, known_keys
from rnnlab.config.facts import NO_IDENTITY
from rnnlab.config.load import STDIN, Document, document_of
from rnnlab.config.messages import format_value
from rnnlab.config.yaml_tree import Node, Position
from rnnlab.errors import MOST_PROBLEMS, ConfigError, Problem, at_most, nearest
from rnnlab.sweeps.file.distributions import distribution, sampled
from rnnlab.sweeps.file.size import combinations, too_many

KEYS = ("base", "axes", "seeds", "plugins")
KINDS = ("grid", "zip", "random", "list")

Choice = tuple[Setting, ...]


class Reader:
    """Reads the parts of a sweep file and collects their problems.

    >>> from rnnlab.config.load import document_of
    >>> from rnnlab.sweeps.file.reader import Reader
    >>> reader = Reader(document_of({"base": {"task": "addition"}, "axes": {"grid": {"model.hidden": [10, 20, 40]}}}))
    >>> [len(dimension) for dimension in reader.axes()], reader.problems
    ([3], [])
    """

    def __init__(self, document: Document) -> None:
        self.name = document.name
        self.root = document.tree or _as_node(document.value)
        self.problems = list(document.problems)
        self._is_config = "task" in self.root.content and "base" not in self.root.content
        if self._is_config:
            message = "this is a config: train it with `rnnlab train`, or put it under `base:`"
            self._add("task", message, self.root.content["task"][0])
            return
        for key, (position, node) in self.root.content.items():
            if key == "plugins" and not _is_list_of_texts(node.plain()):
                self._add(key, "must be a list of files and modules, such as [my_parts.py]", position)
            if key not in KEYS:
                self._add(key, "there is no such key in a sweep", position, KEYS, key)

    def _add(self, key: str, message: str, position: Position, choices: Sequence[str] = (), given: str = "") -> None:
        place = position.place(self.name) if self.name else ""
        self.problems.append(Problem(key, message, choices, given, place))

    def add(self, key: str, message: str) -> None:
        """Add a problem with a part as a whole."""
        self._add(key, message, self.root.position_of((key,)))

    def _part(self, key: str) -> Node | None:
        entry = self.root.content.get(key)
        return entry[1] if entry else None

    def base(self) -> Document:
        """The config that the axes vary."""
        node = self._part("base")
        if self._is_config:
            return Document({})  # said already
        if node is None:
            self.add("base", "is needed: a config, or the path of one")
        elif isinstance(node.content, dict):
            return Document(node.plain(), self.name, node if self.name else None)
        elif isinstance(node.content, str):
            beside = Path() if self.name == STDIN else Path(self.name).parent
            try:
                return document_of(beside / node.content)
            except ConfigError as error:
                self.problems += error.problems
        else:
            self._add("base", "must be a config, or the path of one", node.position)
        return Document({})

    def axes(self) -> Iterator[list[Choice]]:
        """The dimensions of the product: each grid axis, each zip, the samples, and the list."""
        node = self._part("axes")
        if node is None:
            return
        if not isinstance(node.content, dict):
            self._add("axes", "must be a mapping of grid, zip, random or list", node.position)
            return
        seen: set[str] = set()
        for kind, (position, inner) in node.content.items():
            if kind not in KINDS:
                self._add(f"axes.{kind}", "there is no such kind of axes", position, KINDS, kind)
                continue
            for dimension in getattr(self, f"_{kind}")(inner):
                for key in dict.fromkeys(setting.key for choice in dimension for setting in choice):
                    if key in seen:
                        self._add(f"axes.{kind}", f"{key} is an axis already", inner.position)
                    seen.add(key)
                if dimension and dimension[0]:
                    yield dimension

    def _mapping(self, node: Node, kind: str) -> Mapping[str, tuple[Position, Node]]:
        if isinstance(node.content, dict) and node.content:
            return dict(node.content)
        self._add(f"axes.{kind}", "must be a mapping of keys to their values, and not empty", node.position)
        return {}

    def _key(self, key: str, position: Position) -> bool:
        """Whether a key can be an axis."""
        if key in NO_IDENTITY:
            self._add(key, "makes no different run, and so no axis", position)
        elif key == "seed" and self._part("seeds") is not None:
            self._add(key, "is given by `seeds` already", position)
        elif key not in known_keys():
            # A Problem would list all choices, which are hundreds; and one that is not listed needs no near one.
            near = nearest(key, known_keys()) if len(self.problems) < MOST_PROBLEMS else None
            self._add(key, "there is no such key in a config" + (f"; did you mean '{near}'?" if near else ""), position)
        else:
            return True
        return False

    def _values(self, key: str, node: Node) -> list[Setting]:
        if not isinstance(node.content, list):
            self._add(key, f"an axis is a list of values; write [{format_value(node.plain())}]", node.position)
            return []
        if not node.content:
            self._add(key, "an axis without values", node.position)
        return [self._setting(key, item) for item in node.content]

    def _setting(self, key: str, node: Node) -> Setting:
        """The value of a node."""
        return self._setting_of(key, node, node.plain())

    def _setting_of(self, key: str, node: Node, value: Any) -> Setting:
        """A value that comes from a node; None is a value like any other."""
        place = node.position.place(self.name) if self.name else f"axis {key}"
        return Setting(tuple(key.split(".")), value, place)

    def _grid(self, node: Node) -> Iterator[list[Choice]]:
        for key, (position, values) in self._mapping(node, "grid").items():
            if self._key(key, position):
                yield [(setting,) for setting in self._values(key, values)]

    def _zip(self, node: Node) -> Iterator[list[Choice]]:
        for item in node.content if isinstance(node.content, list) else [node]:
            pairs = self._mapping(item, "zip").items()
            axes = {key: self._values(key, values) for key, (position, values) in pairs if self._key(key, position)}
            if len({len(values) for values in axes.values()}) > 1:
                lengths = ", ".join(f"{key} has {len(values)}" for key, values in axes.items())
                self._add("axes.zip", f"zipped axes must have as many values each: {lengths}", item.position)
            elif axes:
                yield list(zip(*axes.values(), strict=True))

    def _random(self, node: Node) -> Iterator[list[Choice]]:
        given = dict(self._mapping(node, "random"))
        samples, seed = (self._count(given.pop(name, None), name, least, usual, node)
                         for name, least, usual in (("samples", 1, None), ("seed", 0, 0)))  # fmt: skip
        drawn: list[list[Setting]] = []
        for key, (position, inner) in given.items():
            if not self._key(key, position):
                continue
            try:
                values = sampled(distribution(inner.plain()), key, seed, samples)
                drawn.append([self._setting_of(key, inner, value) for value in values])
            except ValueError as error:
                self._add(key, str(error), inner.position)
        if not given:
            self._add("axes.random", "has no key to draw", node.position)
        yield list(zip(*drawn, strict=True))

    def _count(self, given: tuple[Position, Node] | None, name: str, least: int, usual: int | None, node: Node) -> int:
        value = usual if given is None else given[1].plain()
        if isinstance(value, int) and not isinstance(value, bool) and value >= least:
            return value
        position = node.position if given is None else given[1].position
        self._add(f"axes.random.{name}", f"must be a whole number, {least} or more", position)
        return least

    def _list(self, node: Node) -> Iterator[list[Choice]]:
        if not isinstance(node.content, list) or not node.content:
            self._add("axes.list", "must be a list of settings, such as [{clip: none}], and not empty", node.position)
            return
        yield [
            tuple(
                self._setting(key, value)
                for key, (position, value) in self._mapping(item, "list").items()
                if self._key(key, position)
            )
            for item in node.content
        ]

    def check_size(self, seeds: Setting | None) -> None:
        """Raise ConfigError where there are more combinations than a sweep may have; none of them is made."""
        if problem := too_many(combinations(self.root, self._seeds(seeds))):
            self.add("axes" if self._part("axes") else "seeds", problem)
            raise ConfigError(at_most(self.problems))

    def _seeds(self, given: Setting | None) -> Any:
        node = self._part("seeds")
        return given.value if given else node.plain() if node else None

    def seeds(self, given: Setting | None) -> Iterator[list[Choice]]:
        """The dimension of the seeds, from `seeds` or the setting that replaces it."""
        node, value = self._part("seeds"), self._seeds(given)
        if given is None and node is None:
            return
        position = node.position if node else self.root.position
        seeds = list(range(value)) if _is_count(value) else value
        if not isinstance(seeds, list) or not seeds or not all(_is_count(seed) or seed == 0 for seed in seeds):
            self._add("seeds", "must be a number of seeds, 1 or more, or a list of seeds", position)
        elif len(set(seeds)) < len(seeds):
            self._add("seeds", "the same seed stands there twice", position)
        else:
            place = position.place(self.name) if self.name else "seeds"
            yield [(Setting(("seed",), seed, place),) for seed in seeds]


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _as_node(value: Any) -> Node:
    """A plain value as a tree, with meaningless positions."""
    start = Position(1, 1)
    if isinstance(value, Mapping):
        return Node(start, {str(key): (start, _as_node(inner)) for key, inner in value.items()})
    return Node(start, [_as_node(item) for item in value] if isinstance(value, list) else value)
