"""A value means the same in a YAML file, behind `--set` and behind `--where`."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlab.compare.conditions import condition
from rnnlab.config import Setting
from rnnlab.config.yaml_scalars import dump, scalar
from rnnlab.config.yaml_tree import parse

# Every text with what it means; a list means its items to a condition.
MEANINGS: dict[str, Any] = {
    "1e4": 10_000,
    "1E+4": 10_000,
    "1.5e1": 15,
    "1e-3": 1e-3,
    "1e999": math.inf,
    "100.0": 100.0,
    "010": 10,
    "+7": 7,
    "0x1F": 31,
    "0o17": 15,
    ".5": 0.5,
    ".inf": math.inf,
    "-.INF": -math.inf,
    "inf": "inf",
    "infinity": "infinity",
    "nan": "nan",
    "NaN": "NaN",
    "1_000": "1_000",
    "1,000": "1,000",
    "\u0663": "\u0663",
    "true": True,
    "TRUE": True,
    "False": False,
    "tRUE": "tRUE",
    "yes": "yes",
    "on": "on",
    "null": None,
    "Null": None,
    "~": None,
    "nULL": "nULL",
    "none": "none",
    "2026-01-01": "2026-01-01",
    "error < 0.01": "error < 0.01",
    "a#b": "a#b",
    "cuda:0": "cuda:0",
    "'100'": "100",
    '"a\\tb"': "a\tb",
    "''": "",
    "'null'": "null",
    "[lstm, gru]": ["lstm", "gru"],
    "[1e4, '1e4', null, TRUE, yes]": [10_000, "1e4", None, True, "yes"],
    "[a, [b, 1]]": ["a", ["b", 1]],
    "['a, b', \"c\"]": ["a, b", "c"],
    "[]": [],
}


def readings(text: str) -> list[Any]:
    """What a text means in a YAML file, behind --set and behind --where, the last as a list of values."""
    node, problems = parse(f"key: {text}", "file")
    assert not problems
    return [node.plain()["key"], Setting.read(f"key={text}").value, [*condition(f"key={text}").values]]


@pytest.mark.parametrize(("text", "meaning"), MEANINGS.items(), ids=MEANINGS)
def test_a_text_means_the_same_everywhere(text: str, meaning: Any) -> None:
    values = meaning if isinstance(meaning, list) else [meaning]
    for reading, expected in zip(readings(text), (meaning, meaning, values), strict=True):
        assert reading == expected
        assert repr(reading) == repr(expected)  # True is not 1, and 1 not 1.0


@settings(deadline=None)
@given(st.text(st.sampled_from("0123456789+-.eExobinfatrulsNTF_~"), min_size=1, max_size=8).filter(lambda t: t != "-"))
def test_a_word_means_the_same_everywhere(word: str) -> None:
    in_file, in_set, (in_condition,) = readings(word)
    assert repr(in_file) == repr(in_set) == repr(in_condition) == repr(scalar(word))


@settings(deadline=None)
@given(st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.none()))
def test_a_number_that_rnnlab_writes_is_read_back_everywhere(value: Any) -> None:
    text = dump({"key": value}).removeprefix("key: ").strip()
    in_file, in_set, (in_condition,) = readings(text)
    assert repr(in_file) == repr(in_set) == repr(in_condition) == repr(value)
