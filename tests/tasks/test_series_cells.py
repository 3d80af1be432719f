"""Cells of a series that are missing, or have a decimal comma, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnlab.config import load_config
from rnnlab.errors import ConfigError, DataFormatError
from rnnlab.tasks.series import Series, _read

CELLS = ["", "3", "NA", "n/a", "9", "11", " nan ", "?"]


@pytest.fixture
def gaps(tmp_path: Path) -> Path:
    path = tmp_path / "gaps.csv"
    path.write_text("day;level\n" + "".join(f"{day};{cell}\n" for day, cell in enumerate(CELLS)))
    return path


def test_missing_cells_are_left_out_or_filled(gaps: Path) -> None:
    assert _read(gaps, "level", ";", ".", "skip").tolist() == [3, 9, 11]
    # 3 to 9 over three lines, and the nearest value beyond the ends.
    assert _read(gaps, "level", ";", ".", "interpolate").tolist() == pytest.approx([3, 3, 5, 7, 9, 11, 11, 11])


def test_an_error_names_the_line_and_what_helps(gaps: Path) -> None:
    with pytest.raises(DataFormatError, match=r"gaps.csv:2: .* not ''; task.missing: skip leaves such lines out"):
        _read(gaps, "level", ";", ".", "error")
    gaps.write_text("level\n1\ninf\n")
    for missing in ("skip", "interpolate"):
        with pytest.raises(DataFormatError, match=r"gaps.csv:3: column 'level' wants a finite number, not 'inf'$"):
            _read(gaps, "level", ";", ".", missing)


def test_a_decimal_comma(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=200).round(3)
    point, comma = tmp_path / "point.csv", tmp_path / "comma.csv"
    point.write_text("".join(f"{value}\n" for value in values))
    comma.write_text("".join(f"a;{value}\n".replace(".", ",") for value in values))
    one = Series(path=point, column=0, length=5).stream(0, "float64")
    other = Series(path=comma, column=1, delimiter=";", decimal=",", length=5).stream(0, "float64")
    assert np.array_equal(next(one.batches(4)).x, next(other.batches(4)).x)
    with pytest.raises(DataFormatError, match=r"not '-0,132'; with task.decimal: ',' it is -0.132$"):
        _read(comma, 1, ";", ".", "error")
    # Which sign separates thousands is not guessed.
    comma.write_text("a;1,5\na;1.234,5\n")
    with pytest.raises(DataFormatError, match=r"comma.csv:2: .*'1.234,5'$"):
        _read(comma, 1, ";", ",", "error")


def test_the_decimal_sign_is_no_delimiter() -> None:
    with pytest.raises(ConfigError, match=r"task.decimal: ',' stands between the cells as well; give the delimiter"):
        load_config({"task": {"name": "series", "path": "a.csv", "column": 0, "decimal": ","}})
    load_config({"task": {"name": "series", "path": "a.csv", "column": 0, "decimal": ",", "delimiter": ";"}})
