"""Text of users and of files in messages: short, and nothing that a terminal obeys."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rnnlab.errors import Problem
from rnnlab.wording import escaped, shortened


@given(text=st.text())
def test_a_terminal_obeys_nothing_of_it(text: str) -> None:
    assert all(character.isprintable() or character in "\n\t" for character in escaped(text))
    escaped(text).encode()


@given(text=st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" \n\t")))
def test_plain_text_stays(text: str) -> None:
    assert escaped(text) == text


def test_a_long_text_says_how_long_it_was() -> None:
    assert shortened("x" * 60) == "x" * 60
    assert shortened("x" * 61) == "x" * 57 + "... (61 characters)"


def test_a_problem_is_short_and_plain() -> None:
    text = str(Problem("k\x1b[31m" + "k" * 100_000, "\u202e" + "m" * 100_000, given="g" * 100_000, choices=["a"]))
    assert text.startswith("k\\x1b[31mkkk")
    assert "\\u202emmm" in text
    assert "(100,006 characters): " in text
    assert len(text) < 1000
