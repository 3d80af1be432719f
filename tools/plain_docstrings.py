"""A griffe extension for the site: makes Markdown of docstrings, which are written to be read as they stand.

Examples, lines that begin with >>>, become fenced blocks, since Markdown takes them for quotations; a list of names and
what they are becomes a list; * and _ are what they are.
"""

from __future__ import annotations

import doctest
import re
from typing import Any

import griffe


class PlainDocstrings(griffe.Extension):
    """Makes Markdown of every docstring."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)


def markdown(docstring: str) -> str:
    """The docstring in Markdown.

    >>> print(markdown("The gates [B, G*H].\\n\\nfit    a line\\nother  not a line"))
    The gates [B, G\\*H].
    <BLANKLINE>
    - `fit`: a line
    - `other`: not a line
    """
    lines: list[str] = []
    inside = False
    for part in doctest.DocTestParser().parse(docstring):
        if isinstance(part, doctest.Example):
            if not inside:
                lines.append("\n```pycon\n")
                inside = True
            lines += _example(part)
        elif part.strip() or not inside:
            if inside:
                lines.append("```\n")
                inside = False
            lines.append(_prose(part))
    if inside:
        lines.append("```\n")
    return "".join(lines)


def _prose(text: str) -> str:
    listed = re.sub(r"^([\w./*]+) {2,}(?=\S)", r"- `\1`: ", text, flags=re.MULTILINE)
    # Code between backticks, and indented blocks, are shown as they stand.
    parts = re.split(r"(`[^`]*`|^ {4}.*$)", listed, flags=re.MULTILINE)
    return "".join(part if number % 2 else _escaped(part) for number, part in enumerate(parts))


def _escaped(text: str) -> str:
    return re.sub(r"[*_]", r"\\\g<0>", text).replace("<", "&lt;")


def _example(example: doctest.Example) -> list[str]:
    first, *more = example.source.splitlines()
    return [f">>> {first}\n", *(f"... {line}\n" for line in more), example.want]
