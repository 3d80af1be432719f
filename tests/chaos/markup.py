"""What a page, a figure or a table is made of, apart from its texts: what a hostile text must not add to."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

Piece = tuple[str, tuple[str, ...]]

_FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20"
_ESCAPES = {"textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater"}


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[Piece] = []
        self.scripts: list[str] = []
        self.json = ""
        self._within = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.pieces.append((tag, tuple(name for name, _ in attributes)))
        self._within = tag + str(dict(attributes).get("type") or "") if tag == "script" else ""

    def handle_endtag(self, tag: str) -> None:
        self.pieces.append((f"/{tag}", ()))
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within == "scriptapplication/json":
            self.json += data
        elif self._within == "script":
            self.scripts.append(data)

    def handle_comment(self, data: str) -> None:
        self.pieces.append(("comment", ()))

    def handle_decl(self, declaration: str) -> None:
        self.pieces.append((f"!{declaration}", ()))

    def unknown_decl(self, data: str) -> None:
        self.pieces.append(("!unknown", ()))

    def handle_pi(self, data: str) -> None:
        self.pieces.append(("?", ()))


def of_page(page: str) -> tuple[list[Piece], list[str], Any]:
    """The elements with their attributes' names, in order; the scripts; and the data."""
    parser = _Parser()
    parser.feed(page)
    parser.close()
    return parser.pieces, parser.scripts, json.loads(parser.json)


def of_figure(svg: bytes) -> tuple[set[str], set[str]]:
    """The names of elements and of attributes."""
    elements = list(ET.fromstring(svg).iter())
    return {element.tag for element in elements}, {name for element in elements for name in element.attrib}


def formulas(table: str) -> Iterator[str]:
    """The cells of a CSV file that a spreadsheet would run."""
    for row in csv.reader(io.StringIO(table)):
        for cell in row:
            first = next((one for one in cell if one.isprintable() and not one.isspace()), "")
            if (cell[:1] in ("\t", "\r") or (first and first in _FORMULA)) and not _is_number(cell):
                yield cell


def latex_commands(table: str) -> set[str]:
    """The commands of the lines that are no comments, but for those that stand for a character."""
    lines = [line for line in re.split(r"[\n\r]", table) if not line.startswith("%")]
    without_pairs = re.sub(r"\\[&%$#_{}]", "", "\n".join(lines).replace("\\\\", ""))
    commands = set(re.findall(r"\\([a-zA-Z]+|.)", without_pairs)) - _ESCAPES
    signs = set(re.findall(r"[%#~^]", without_pairs.replace("~", "") if "$" in without_pairs else without_pairs))
    return commands | signs


def markdown_markup(table: str) -> set[str]:
    """The signs of Markdown that are not escaped, but for those of the table."""
    without_pairs = re.sub(r"\\.", "", table)
    lines = [line for line in without_pairs.splitlines() if line.startswith("|")]
    columns = {line.count("|") for line in lines}
    return set(re.findall(r"[<>\[\]`~]", without_pairs)) | ({"columns"} if len(columns) > 1 else set())


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
