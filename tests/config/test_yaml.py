"""YAML as rnnlab reads it: words mean what people write, every fault has its place, and no file is too wicked."""

from __future__ import annotations

import contextlib
import io
import math
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlab.config import load_config
from rnnlab.config.yaml_scalars import dump, scalar
from rnnlab.config.yaml_tree import DEEPEST, MOST_BYTES, MOST_NODES, dotted, parse
from rnnlab.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("1e-3", 1e-3),
        ("1E5", 100000),
        ("1e5", 100000),
        ("1.e-3", 1e-3),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1.5e+2", -150),
        ("1.5e1", 15),
        ("1e300", 1e300),
        ("1e999", math.inf),
        ("10", 10),
        ("-7", -7),
        ("+7", 7),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.0", 1.0),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("yes", "yes"),
        ("on", "on"),
        ("No", "No"),
        ("2026-01-01", "2026-01-01"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("1e", "1e"),
        (".", "."),
        ("-", "-"),
        ("e5", "e5"),
        ("nan", "nan"),
        ("error < 0.01", "error < 0.01"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_what_a_plain_word_means(text: str, meaning: Any) -> None:
    assert scalar(text) == meaning
    assert type(scalar(text)) is type(meaning)


def test_not_a_number_is_one() -> None:
    assert math.isnan(scalar(".nan"))


PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**18), 10**18),
        st.floats(allow_nan=False),
        st.text(st.characters(exclude_categories=["Cs"])),
        st.sampled_from(
            ["1e-3", "yes", "null", "~", "<<", "=", "-", "a: b", "#", "1:2", "0o7", " x", "\t", "é", "\x85"]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"])).filter(lambda key: key != "<<"), inner, max_size=4
        ),
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), PLAIN, min_size=1))
def test_what_is_written_is_read_back(value: dict[str, Any]) -> None:
    node, problems = parse(dump(value), "x")
    assert node.plain() == value
    assert not problems
    assert yaml.safe_load(dump(value)) == value  # other programs read it so as well


@settings(deadline=None)
@given(st.one_of(st.text(), st.text(st.sampled_from("a:-[]{}\"'&*!|>%@`#\n \t,?~1"), max_size=40)))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        node, _ = parse(text, "x")
        node.plain()


FAULTS = {
    "tab": ("a:\n\tb: 1", "2:1: a tab begins here; YAML is indented with spaces"),
    "two colons": ("a: b: c", "1:5: a second ':' on one line"),
    "indentation": ("a: 1\n  b: 2", "2:4: a second ':' on one line, or a line indented otherwise"),
    "at sign": ("a: @x", "1:4: '@' cannot begin a value; put the value in quotes"),
    "open quote": (
        "a: 'x",
        "1:6: not YAML: found unexpected end of stream while scanning a quoted scalar that begins at line 1",
    ),
    "open list": ("a: [1,", "not YAML: "),
    "unknown alias": ("a: *x", "1:4: the alias *x stands for nothing; &x must come before it"),
    "itself": ("a: &x [*x]", "1:8: the alias *x stands for nothing"),
    "control character": ("a: \x07", "1:4: the character U+0007 cannot stand in YAML"),
    "second document": ("a: 1\n---\nb: 1", "2:1: a second document begins here; a file holds one config"),
    "empty": ("", "1:1: the file is empty; `rnnlab new` writes one to start from"),
    "comments alone": ("# a\n", "1:1: the file is empty"),
    "null alone": ("~", "1:1: the file is empty"),
    "a key of keys": ("? {a: 1}\n: 2", "1:3: a key must be a word"),
    "depth": ("[" * (DEEPEST + 2), f"1:{DEEPEST + 2}: nested more than {DEEPEST} deep"),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told_at_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=r"^x:\d+:\d+: ") as caught:
        parse(text, "x")
    assert message in str(caught.value)


def test_what_is_refused_does_not_hide_the_rest() -> None:
    node, problems = parse("a: 1\nb: {c: 2, c: 3}\na: !!python/object:os.system 4\n<<: {d: 5}\n", "x")
    assert node.plain() == {"a": 1, "b": {"c": 2}}
    assert [str(problem) for problem in problems] == [
        "x:2:11: b.c: given twice; the first is at line 2, column 5",
        "x:3:4: the tag tag:yaml.org,2002:python/object:os.system is not read; write the value alone",
        "x:3:1: a: given twice; the first is at line 1, column 1",
        "x:4:1: <<: merge keys are not read; write the keys out",
    ]


def test_an_alias_stands_for_what_it_names() -> None:
    node, problems = parse("a: &x {b: [1, 2]}\nc: *x\n", "x")
    assert node.plain() == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}
    assert not problems


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), (1, 1)),
        (("a",), (1, 4)),
        (("a", "b"), (2, 3)),
        (("a", "b", 1), (2, 7)),
        (("a", "x", "y"), (1, 1)),
        (("z",), (1, 1)),
    ],
)
def test_every_value_knows_its_place(path: tuple[str | int, ...], place: tuple[int, int]) -> None:
    node, _ = parse("a: {b:\n  [é, 2]}\n", "x")
    assert node.position_of(path) == place


def test_a_path_is_written_with_dots() -> None:
    assert dotted(("probe", "schedule", 1)) == "probe.schedule[1]"
    assert dotted(()) == ""


# Files.


def read(path: Path) -> str:
    with pytest.raises(ConfigError, match=r".") as caught:
        load_config(path)
    return str(caught.value).replace(f"{path}", "F")


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


def test_aliases_that_blow_up_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "bomb.yaml"
    file.write_text(bomb(30))
    assert f"more than {MOST_NODES:,} values, aliases written out" in read(file)


def test_a_hundred_megabytes_are_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "huge.yaml"
    with file.open("wb") as opened:
        opened.write(b"a: &a [x, x]\n")
        opened.truncate(100 << 20)  # sparse, and as long
    assert read(file) == f"F: more than {MOST_BYTES:,} bytes; this is no config"


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no device without an end here")
def test_a_file_without_an_end_is_refused() -> None:
    assert "it is a device, and not a regular file" in read(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"task: addition\nnotes: \xff\n", "F:2:8: not UTF-8 text (the byte 0xff); save the file as UTF-8"),
        ("task: addition".encode("utf-16"), "F:1:1: not UTF-8 text (the byte 0xff)"),
        (b"- a\n- b\n", "F:1:1: a config is a mapping of keys such as `task: addition`, and this is a list"),
        (
            b"\n  addition\n",
            "F:2:3: a config is a mapping of keys such as `task: addition`, and this is a single value",
        ),
        (b"", "F:1:1: the file is empty"),
    ],
)
def test_what_is_no_config_at_all(raw: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(raw)
    assert read(file).startswith(message)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert (
        read(tmp_path / "none.yaml")
        == "F: cannot be read: No such file or directory; `rnnlab new` writes one to start from"
    )
    assert read(tmp_path) == "F: cannot be read: Is a directory"
    with pytest.raises(ConfigError, match="cannot be read: embedded null byte"):
        load_config("a\0b")


def test_a_byte_order_mark_and_windows_line_ends_are_nothing_special(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes("\ufefftask: copy\r\nnotes: é\r\n".encode())
    assert load_config(file).notes == "é"


def test_a_dash_is_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"task: copy\nsede: 1\n")))
    with pytest.raises(ConfigError, match=r"^stdin:2:1: sede: there is no such key; did you mean 'seed'"):
        load_config("-")
