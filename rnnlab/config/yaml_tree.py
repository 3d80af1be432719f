"""A YAML text as a tree in which every key and value has its line and column.

It refuses what YAML allows but often is a mistake: a key given twice, a tag, a merge key, a second document.
`yaml_scalars` defines what a plain word means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from rnnlab.config.yaml_scalars import scalar
from rnnlab.errors import ConfigError, Problem, at_most
from rnnlab.wording import encodable

Path = tuple[str | int, ...]

# Enough for a sweep of thousands of runs; a file made of aliases goes beyond it.
MOST_BYTES = 1 << 20
MOST_NODES = 100_000
DEEPEST = 50

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Position(NamedTuple):
    """A line and a column, both from 1.

    >>> Position(2, 9).place("a.yaml")
    'a.yaml:2:9'
    """

    line: int
    column: int

    def place(self, name: str) -> str:
        """As it stands before a problem: `file:line:column`."""
        return f"{name}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Node:
    """A value and where it begins; `content` is a scalar, a list of nodes, or a dict of keys to (position, node).

    >>> tree, problems = parse("model: {hidden: 50}", "a.yaml")
    >>> tree.plain(), tree.position_of(("model", "hidden"))
    ({'model': {'hidden': 50}}, Position(line=1, column=17))
    """

    position: Position
    content: Any
    size: int = 1

    def plain(self) -> Any:
        """The value as Python's own types."""
        if isinstance(self.content, dict):
            return {key: node.plain() for key, (_, node) in self.content.items()}
        return [node.plain() for node in self.content] if isinstance(self.content, list) else self.content

    def position_of(self, path: Path, *, key: bool = False) -> Position:
        """Where the value at the path, or its key (`key`), begins; the nearest key above where it is missing."""
        node, above = self, self.position
        for depth, step in enumerate(path, 1):
            child = _child(node, step)
            if child is None:
                return above
            above, node = child
            if key and depth == len(path):
                return above
        return node.position


def _child(node: Node, step: str | int) -> tuple[Position, Node] | None:
    if isinstance(node.content, dict):
        return node.content.get(step)
    if isinstance(node.content, list) and isinstance(step, int) and step < len(node.content):
        return node.content[step].position, node.content[step]
    return None


def parse(text: str, name: str) -> tuple[Node, list[Problem]]:
    """The tree of a YAML text and the problems that leave it readable; `name` is the file in their places.

    Raises ConfigError where the text is no YAML, is empty, or goes beyond the limits above.
    """
    reader = _Reader(name)
    if encodable(text) != text:
        raise reader.error(Position(1, 1), "not UTF-8 text")
    try:
        return reader.read(yaml.parse(text, Loader=_LOADER)), reader.problems
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise reader.error(_position_at(mark), _fault(error, text)) from error
    except yaml.reader.ReaderError as error:
        fault = f"the character U+{error.character:04X} cannot stand in YAML"
        raise reader.error(position_in(text, error.position), fault) from error


def value_of(text: str, name: str) -> Any:
    """The value that a text on a command line stands for: the same as in a YAML file.

    A plain word may hold `: ` and ` #`, which need quotes in a file. Raises ConfigError where a list, a mapping or a
    quoted text is no YAML.
    """
    text = text.strip()
    if not text.startswith(("[", "{", '"', "'")):
        return scalar(text)
    node, problems = parse(text, name)
    if problems:
        raise ConfigError(at_most(problems))
    return node.plain()


def position_in(text: str, offset: int) -> Position:
    """The line and column of the character at this offset."""
    before = text[:offset]
    return Position(before.count("\n") + 1, offset - before.rfind("\n"))


def _position_at(mark: Any) -> Position:
    return Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)


def _fault(error: yaml.MarkedYAMLError, text: str) -> str:
    """What is wrong with the syntax, in plain words for the usual mistakes."""
    problem, mark = error.problem or "", error.problem_mark
    remainder = text.split("\n")[mark.line][mark.column :] if mark and mark.line <= text.count("\n") else ""
    if "cannot start any token" in problem:
        if remainder.startswith("\t"):
            return "a tab begins here; YAML is indented with spaces"
        return f"'{remainder[:1]}' cannot begin a value; put the value in quotes"
    if "mapping values are not allowed" in problem:
        return (
            "a second ':' on one line, or a line indented otherwise than its neighbours; quote a value that holds ': '"
        )
    context = f" {error.context}" if error.context else ""
    if error.context_mark:
        context += f" that begins at line {error.context_mark.line + 1}"
    return f"not YAML: {problem}{context}"


class _Reader:
    """Builds the tree from the parser's events, collects problems and counts nodes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self.anchors: dict[str, Node] = {}
        self.nodes = 0

    def error(self, position: Position, message: str) -> ConfigError:
        return ConfigError([*at_most(self.problems), self._problem(position, message)])

    def _problem(self, position: Position, message: str, key: str = "") -> Problem:
        return Problem(key, message, place=position.place(self.name))

    def read(self, events: Iterator[Any]) -> Node:
        root: Node | None = None
        for event in events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            if root is not None:
                position = _position_at(event.start_mark)
                raise self.error(position, "a second document begins here; a file holds one config")
            root = self._node(next(events), events, ())
        if root is None or root.content is None:
            raise self.error(Position(1, 1), "the file is empty; `rnnlab new` writes one to start from")
        return root

    def _node(self, event: Any, events: Iterator[Any], path: Path) -> Node:
        position = _position_at(event.start_mark)
        if len(path) > DEEPEST:
            raise self.error(position, f"nested more than {DEEPEST} deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, position)
        self._count(1, position)
        if event.tag not in (None, "!"):
            self.problems.append(self._problem(position, f"the tag {event.tag} is not read; write the value alone"))
        if isinstance(event, yaml.ScalarEvent):
            node = Node(position, scalar(event.value) if event.implicit[0] else event.value)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._list(position, events, path)
        else:
            node = self._mapping(position, events, path)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _alias(self, event: Any, position: Position) -> Node:
        if event.anchor not in self.anchors:
            message = f"the alias *{event.anchor} stands for nothing; &{event.anchor} must come before it"
            raise self.error(position, message)
        node = self.anchors[event.anchor]
        self._count(node.size, position)
        return node

    def _count(self, nodes: int, position: Position) -> None:
        self.nodes += nodes
        if self.nodes > MOST_NODES:
            raise self.error(position, f"more than {MOST_NODES:,} values, aliases written out; this is no config")

    def _list(self, position: Position, events: Iterator[Any], path: Path) -> Node:
        items: list[Node] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, events, (*path, len(items))))
        return Node(position, items, 1 + sum(item.size for item in items))

    def _mapping(self, position: Position, events: Iterator[Any], path: Path) -> Node:
        entries: dict[str, tuple[Position, Node]] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            self._entry(event, events, path, entries)
        return Node(position, entries, 1 + sum(node.size for _, node in entries.values()))

    def _entry(self, event: Any, events: Iterator[Any], path: Path, entries: dict[str, tuple[Position, Node]]) -> None:
        position = _position_at(event.start_mark)
        if not isinstance(event, yaml.ScalarEvent):
            raise self.error(position, "a key must be a word")
        self._count(1, position)
        key = event.value
        node = self._node(next(events), events, (*path, key))
        if key == "<<":
            self.problems.append(
                self._problem(position, "merge keys are not read; write the keys out", dotted((*path, key)))
            )
        elif key in entries:
            first = entries[key][0]
            message = f"given twice; the first is at line {first.line}, column {first.column}"
            self.problems.append(self._problem(position, message, dotted((*path, key))))
        else:
            entries[key] = (position, node)


def dotted(path: Sequence[str | int]) -> str:
    """A path as it is written: `probe.schedule[1]`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
