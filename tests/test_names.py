"""A name is a folder's name on every system, or it is refused with the cure."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlab.errors import UsageError
from rnnlab.names import check_name, default_name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("..", "begins or ends with a dot"),
        ("../x", "a name is not a path"),
        ("a/b", "a name is not a path"),
        ("a\\b", "a name is not a path"),
        (".hidden", "begins or ends with a dot"),
        ("-x", "begins with a dash"),
        ("x.", "begins or ends with a dot"),
        ("a\nb", "control character"),
        ("a\x1b[31mb", "control character"),
        ("a\0b", "control character"),
        ("\ud800", "control character"),
        ("a:b", "a name is not a path"),
        ("x" * 101, "longer than 100"),
        ("NUL", "device's name"),
        ("com1.txt", "device's name"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_the_cure(name: str, why: str) -> None:
    with pytest.raises(UsageError, match=f"{why}.*use letters, digits"):
        check_name(name)


@given(st.text())
def test_a_name_that_passes_is_one_folder_below_the_root(name: str) -> None:
    try:
        check_name(name)
    except UsageError:
        return
    assert Path("/root", name).parent == Path("/root")
    assert os.path.normpath(os.path.join("/root", name)) == "/root/" + name


def test_default_names_pass_and_say_what_matters() -> None:
    assert default_name("addition", "lstm", 100, 0) == "addition-lstm-T100-s0"
    assert default_name("text", "gru", None, 3) == "text-gru-s3"
    check_name(default_name("addition", "lstm", 100, 0))
