"""Numbers, times, settings and intervals as short texts, the same in every form of a report."""

from __future__ import annotations

import math
from typing import Any

from rnnlab.analysis.intervals import Interval
from rnnlab.wording import shortened

_LONGEST_SETTING = 1000
"""Characters: longer than what anybody notes, and short enough for a table."""


def format_number(value: float | str | None, digits: int = 3) -> str:
    """A number in a few characters: 0.0231, 1.2e-5, inf; `-` where there is none."""
    if value is None:
        return "-"
    text = f"{float(value):.{digits}g}"
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if e else text


def format_duration(seconds: float) -> str:
    """A time in its two largest units: 8s, 4m05s, 2h03m, 3d04h."""
    if not math.isfinite(seconds):
        return "?"
    whole = round(seconds)
    for size, small, (large_name, small_name) in ((86400, 3600, "dh"), (3600, 60, "hm"), (60, 1, "ms")):
        if whole >= size:
            return f"{whole // size}{large_name}{whole % size // small:02d}{small_name}"
    return f"{whole}s" if whole >= 10 else f"{seconds:.1f}s"


def format_signed(value: float) -> str:
    """A rate with its sign, and two decimals below 10, one above."""
    return f"{value:+.2f}" if abs(value) < 10 else f"{value:+.1f}"


def format_interval(interval: Interval | None) -> str:
    """The ends of an interval; below 3 values the values themselves."""
    if interval is None:
        return "-"
    if interval.low is None or interval.high is None:
        return ", ".join(map(format_signed, interval.values)) if interval.n > 1 else "one seed"
    return f"{format_signed(interval.low)} {format_signed(interval.high)}"


def format_setting(value: Any) -> str:
    """A setting as it stands in a table."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:g}"
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    return shortened(text, _LONGEST_SETTING)


def format_count(number: int, noun: str) -> str:
    """`1 run`, `2,000 runs`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def printable(text: str, unicode: bool = True) -> str:
    """The text with `?` for control characters, and for all that the terminal cannot show."""
    return "".join(
        character if character.isprintable() and (unicode or character.isascii()) else "?" for character in text
    )
