"""Text of users and of files as it stands in a message: short, and without characters that a terminal obeys."""

from __future__ import annotations

LONGEST = 60
"""Characters of a value in a message."""


def shortened(text: str, longest: int = LONGEST) -> str:
    """The text; a long one is cut, and its length is given.

    >>> shortened("hidden")
    'hidden'
    >>> shortened("a" * 100_000, 10)
    'aaaaaaa... (100,000 characters)'
    """
    return text if len(text) <= longest else f"{text[: longest - 3]}... ({len(text):,} characters)"


def escaped(text: str) -> str:
    r"""The text with control, bidirectional and broken characters written as `\x1b`; line ends and tabs stay.

    >>> escaped("name\x1b[31m, of \u202e")
    'name\\x1b[31m, of \\u202e'
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in "\n\t" else _code(character) for character in text
    )


def encodable(text: str) -> str:
    r"""The text with characters that UTF-8 cannot write, as those of a file name that is not UTF-8, as `\udce9`."""
    return text.encode(errors="backslashreplace").decode()


def _code(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
