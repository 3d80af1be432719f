"""How many combinations a sweep file describes, counted before any of them is made."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from rnnlab.config.yaml_tree import Node

MOST_RUNS = 1_000_000
_MOST_WRITTEN = 10**30


def combinations(root: Node, seeds: Any) -> int:
    """The product of all dimensions; one of a wrong form counts as 1, for it has a problem of its own.

    `seeds` is a number of seeds or a list of them, or None.

    >>> from rnnlab.config.yaml_tree import parse
    >>> tree, _ = parse("axes: {grid: {model.hidden: [10, 20]}, random: {samples: 1000}}", "sweep.yaml")
    >>> combinations(tree, 3)
    6000
    """
    entry = root.content.get("axes")
    kinds = entry[1].content if entry and isinstance(entry[1].content, dict) else {}
    lengths = [length for kind, (_, node) in kinds.items() for length in _lengths(kind, node)]
    return math.prod([*lengths, _length(seeds)])


def too_many(count: int) -> str | None:
    """The problem with so many combinations; None where a sweep may have them."""
    if count <= MOST_RUNS:
        return None
    written = f"{count:,}" if count < _MOST_WRITTEN else f"10^{int(count.bit_length() * math.log10(2))}"
    return f"{written} combinations are more than {MOST_RUNS:,}"


def _lengths(kind: str, node: Node) -> Iterator[int]:
    if kind == "grid":
        yield from _lengths_of_values(node)
    elif kind == "zip":
        for item in node.content if isinstance(node.content, list) else [node]:
            yield max(_lengths_of_values(item), default=1)
    elif kind == "random" and isinstance(node.content, dict) and "samples" in node.content:
        yield _length(node.content["samples"][1].content)
    elif kind == "list" and isinstance(node.content, list):
        yield _length(node.content)


def _lengths_of_values(node: Node) -> Iterator[int]:
    if isinstance(node.content, dict):
        yield from (_length(values.content) for _, values in node.content.values() if isinstance(values.content, list))


def _length(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return max(value, 1)
    return max(len(value), 1) if isinstance(value, list) else 1
