"""The strip never leaves its width, and puts the curve and the letters where they belong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlab.report.terminal.strip import span, strip

LAG = np.arange(100)
values = st.one_of(st.floats(-3000, 3000), st.sampled_from([-np.inf, np.inf, np.nan]))


def plot(text: str) -> list[str]:
    """The rows of the plot without their labels."""
    return [line[line.index(edge) + 1 :] for line in text.splitlines() for edge in "│┤|" if edge in line]


@given(
    y=st.lists(values, max_size=60),
    stride=st.integers(1, 2000),
    width=st.integers(20, 200),
    height=st.integers(1, 20),
    unicode=st.booleans(),
)
def test_a_strip_has_its_size_whatever_the_curve(
    y: list[float], stride: int, width: int, height: int, unicode: bool
) -> None:
    text = strip(np.arange(len(y)) * stride, y, width, height, unicode=unicode)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= height + 3
    assert text.isascii() or unicode


def test_a_falling_curve_falls_from_the_upper_left_to_the_lower_right() -> None:
    rows = plot(strip(LAG, -0.2 * LAG, 80, 8))
    starts = [len(row) - len(row.lstrip()) for row in rows]
    assert starts == sorted(starts)
    assert starts[0] == 0
    assert rows[0].strip()
    assert rows[-1].strip()
    assert abs(len(rows[-1]) - 75) <= 2


def test_a_flat_curve_is_one_row_in_the_middle() -> None:
    rows = plot(strip(LAG, np.full(100, -3.0), 80, 9))
    assert [at for at, row in enumerate(rows) if row.strip()] == [4]


@pytest.mark.parametrize(("value", "letter"), [(-np.inf, "0"), (np.nan, "u"), (np.inf, "!")])
@pytest.mark.parametrize("unicode", [True, False])
def test_what_is_no_number_is_a_gap_with_a_letter_on_the_axis(value: float, letter: str, unicode: bool) -> None:
    text = strip(LAG, np.where((LAG > 40) & (LAG < 60), value, -3.0), 80, 5, unicode=unicode)
    *rows, axis, _, legend = text.splitlines()
    start, end = axis.index(letter), axis.rindex(letter)
    assert axis[start : end + 1] == letter * (end + 1 - start)
    # Braille draws half a cell past a point's own column at most.
    assert not any(row[start + 1 : end].strip() for row in rows)
    assert any(row[end + 1 :].strip() for row in rows)
    assert legend.strip().startswith(f"{letter} ")


def test_a_curve_of_numbers_has_no_legend_and_names_its_ends() -> None:
    *_, axis, numbers = strip(LAG, -LAG, 80, 5).splitlines()
    assert not set("0u!") & set(axis)
    assert numbers.split() == ["0", "20", "40", "60", "80", "lag", "99"]


def test_the_labels_are_at_their_values() -> None:
    lines = strip([0, 1], [0, -10], 40, 11).splitlines()
    labels = {float(line[:3]): at for at, line in enumerate(lines[:11]) if line[:3].strip()}
    assert labels == {-value: value for value in map(int, np.abs(list(labels)))}
    assert {0, -10} <= set(labels)


def test_curves_drawn_with_one_span_share_their_rows() -> None:
    high, low = 0.0 * LAG, 0.0 * LAG - 9
    limits = span(high, low)
    assert list(limits) == [-9, 0]
    assert plot(strip(LAG, high, 60, 6, limits=limits))[0].strip()
    assert plot(strip(LAG, low, 60, 6, limits=limits))[-1].strip()


def test_a_single_outlier_survives_any_thinning() -> None:
    y = np.zeros(20_000)
    y[5_432] = -50
    assert plot(strip(np.arange(20_000), y, 60, 8))[-1].strip()
