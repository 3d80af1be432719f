"""Mutations of texts that somebody wrote."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

VALUES: tuple[Any, ...] = (
    None, True, False, "", "~", "null", -1, 0, 1, 10**9, 2**63, -(2**63), 10**30, 1e308, -1e-308, 1e-400, float("inf"),
    float("nan"), "1e5", "0x1F", "1_000", "9" * 400, [], {}, [[]], [1, "a", None], {"name": "norm"}, {"": ""},
    {"name": {"name": "norm"}}, "2026-11-25", "error < 0.1", "\u202e", "\x07", "=1+1", "<b>", "../..", "a" * 5000,
    "\ud800", "norm\n", "#", "*a", "&a", "!!python/object:os.system", "lstm", "LSTM ", "адам", "log",
)  # fmt: skip
_TOKENS = (b"[", b"]", b"{", b"}", b":", b": ", b"- ", b"#", b"&a ", b"*a", b"!!", b"|", b">", b"'",
           b'"', b"\t", b"\x00",           b"\xff\xfe", b"\xef\xbb\xbf", b"%YAML 1.1", b"---\n", b"...\n",
           b"<<: *a\n", b"? ", b"\r\n", b"   ")  # fmt: skip

Lines = list[bytes]


def mutated(text: bytes, draw: random.Random) -> bytes:
    """The text with one to four mutations of lines, words, numbers or bytes."""
    for _ in range(draw.randint(1, 4)):
        text = draw.choice(_MUTATIONS)(text, draw)
    return text


def _line(text: bytes, draw: random.Random, change: Callable[[Lines, int], None]) -> bytes:
    lines = text.splitlines(keepends=True)
    if lines:
        change(lines, draw.randrange(len(lines)))
    return b"".join(lines)


def _drop(text: bytes, draw: random.Random) -> bytes:
    def change(lines: Lines, at: int) -> None:
        del lines[at]

    return _line(text, draw, change)


def _double(text: bytes, draw: random.Random) -> bytes:
    return _line(text, draw, lambda lines, at: lines.insert(draw.randrange(len(lines)), lines[at]))


def _indent(text: bytes, draw: random.Random) -> bytes:
    def change(lines: Lines, at: int) -> None:
        lines[at] = b" " * draw.randint(0, 6) + lines[at].lstrip()

    return _line(text, draw, change)


def _word(text: bytes, draw: random.Random) -> bytes:
    """Another word, or a value of another kind, in place of one."""
    words = [*re.finditer(rb"[\w.]+", text)]
    if not words:
        return text
    word, other = draw.choice(words), draw.choice(words).group()
    value = str(draw.choice(VALUES)).encode(errors="surrogatepass")
    return text[: word.start()] + draw.choice((other, value)) + text[word.end() :]


def _number(text: bytes, draw: random.Random) -> bytes:
    numbers = [*re.finditer(rb"\d+(\.\d+)?", text)]
    if not numbers:
        return text
    number = draw.choice(numbers)
    other = draw.choice((b"0", b"-1", b"1e9", b"1e400", b"0.5", b".5", b"1.", b"999999999999", b"0x10", b"1:30", b"+3"))
    return text[: number.start()] + other + text[number.end() :]


def _insert(text: bytes, draw: random.Random) -> bytes:
    at = draw.randint(0, len(text))
    added = draw.choice((*_TOKENS, bytes([draw.randrange(256)]) * draw.choice((1, 1, 100))))
    return text[:at] + added + text[at:]


def _cut(text: bytes, draw: random.Random) -> bytes:
    start = draw.randint(0, len(text))
    return text[:start] + text[start + draw.randint(0, 40) :]


def _deepen(text: bytes, draw: random.Random) -> bytes:
    return _insert(text, draw) + b"deep: " + b"[" * draw.choice((3, 60, 20_000))


_MUTATIONS = (_drop, _double, _indent, _word, _word, _number, _insert, _cut, _deepen)
