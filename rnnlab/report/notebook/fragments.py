"""Texts, facts and tables as HTML. Styles stand on the elements: a notebook keeps no style sheet of an output apart."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rnnlab.report.formatting import format_count
from rnnlab.wording import encodable, escaped, shortened

MOST_ROWS = 30
"""Of a table; what is cut is counted below it."""
_LONGEST = 300
"""Characters of one text."""
_CELL = "padding:1px 10px 1px 0;text-align:{};white-space:nowrap;vertical-align:middle;border:none;background:none"


@dataclass(frozen=True)
class Html:
    """Text that is HTML already, as a cell of a table.

    >>> table(["run", "curve"], [["<a>", Html("<svg/>")]]).count("&lt;a&gt;")
    1
    """

    text: str


def escape(text: str) -> str:
    """The text as it stands, for an element or an attribute; control characters are written out, a long one is cut."""
    return html.escape(encodable(escaped(shortened(text, _LONGEST))), quote=True)


def block(*parts: str) -> str:
    """The element of one object."""
    return f'<div style="font-size:13px;line-height:1.45;overflow-x:auto">{"".join(parts)}</div>'


def headline(name: str, rest: str) -> str:
    """A name in bold, and what follows it."""
    return f"<div><b>{escape(name)}</b>{escape(rest)}</div>"


def line(text: str, *, faint: bool = False) -> str:
    """A line of text."""
    look = ' style="opacity:0.75"' if faint else ""
    return f"<div{look}>{escape(text)}</div>"


def table(titles: Sequence[str], rows: Iterable[Sequence[str | Html]], left: int = 1) -> str:
    """A table, whose first `left` columns begin at the left and whose numbers end at the right."""
    head = "".join(_cell("th", title, at < left) for at, title in enumerate(titles))
    body = "".join(f"<tr>{''.join(_cell('td', cell, at < left) for at, cell in enumerate(row))}</tr>" for row in rows)
    style = "border-collapse:collapse;margin:4px 0;border:none;font-size:inherit;color:inherit"
    return f'<table style="{style}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def more(count: int, noun: str, how: str) -> str:
    """How many rows were cut, and how they are had; nothing where none were."""
    return line(f"and {format_count(count, f'more {noun}')}; {how}", faint=True) if count > 0 else ""


def notes(texts: Sequence[str], most: int = 5) -> str:
    """The first notes, a line each, and how many more there are."""
    shown = "".join(line(text, faint=True) for text in texts[:most])
    return shown + more(len(texts) - most, "note", "`rnnlab report` has all")


def _cell(kind: str, content: str | Html, left: bool) -> str:
    inner = content.text if isinstance(content, Html) else escape(content)
    return f'<{kind} style="{_CELL.format("left" if left else "right")}">{inner}</{kind}>'
