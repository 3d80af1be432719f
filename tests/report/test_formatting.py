"""Numbers, times and settings are short texts that say what they stand for."""

from __future__ import annotations

import pytest

from rnnlab.analysis.intervals import mean_interval
from rnnlab.report.formatting import (
    format_count,
    format_duration,
    format_interval,
    format_number,
    format_setting,
    format_signed,
    printable,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (0.02312, "0.0231"),
        (1.234e-5, "1.23e-5"),
        (1e30, "1e30"),
        ("nan", "nan"),
        (float("-inf"), "-inf"),
    ],
)
def test_a_number_is_short_and_right(value: float | str | None, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.44, "0.4s"),
        (59.4, "59s"),
        (59.9, "1m00s"),
        (3599.9, "1h00m"),
        (7380, "2h03m"),
        (273600, "3d04h"),
        (float("inf"), "?"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(-2.0, "-2.00"), (9.994, "+9.99"), (-12.04, "-12.0"), (123.46, "+123.5")])
def test_a_rate_has_its_sign(value: float, text: str) -> None:
    assert format_signed(value) == text


@pytest.mark.parametrize(
    ("values", "text"), [([], "-"), ([1.0], "one seed"), ([1.0, 2.0], "+1.00, +2.00"), ([2.0, 2.0, 2.0], "+2.00 +2.00")]
)
def test_an_interval_is_its_ends_or_its_points(values: list[float], text: str) -> None:
    assert format_interval(mean_interval(values)) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.1, "0.1"), (3, "3"), (True, "true"), (False, "false"), ("lstm", "lstm")]
)
def test_a_setting_stands_as_in_a_config(value: object, text: str) -> None:
    assert format_setting(value) == text


def test_a_count_agrees_with_its_noun() -> None:
    assert [format_count(number, "run") for number in (0, 1, 2000)] == ["0 runs", "1 run", "2,000 runs"]


def test_what_steers_a_terminal_is_no_text() -> None:
    assert printable("a\x1b[2Jb\nc") == "a?[2Jb?c"
    assert printable("naïve…", unicode=False) == "na?ve?"
