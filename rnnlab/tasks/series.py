"""Next-value prediction of a column of a CSV file."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import Field, ValidationInfo, field_validator

from rnnlab.errors import DataFormatError
from rnnlab.tasks.base import Batch, Chance, Ints, Kind, Source, Task
from rnnlab.tasks.files import Paths, cached, read_text
from rnnlab.tasks.held import HeldSource, Parts, contiguous, windows

Missing = Literal["error", "skip", "interpolate"]
_MISSING = ("", "na", "n/a", "nan", "null", "none", "-", "?")
Column = Annotated[int, Field(ge=0)] | str


class Series(Task):
    """Predict the next value of a column of a CSV file.

    Protocol: the column, in the order of its lines, is cut in time into training, validation and test parts and
    standardized with the training part's mean and standard deviation. A sequence is a window of `length` values inside
    one part; the target at timestep t is the value at t + 1, asked for after the last timestep by default. The first
    line is a header when its cell in the column is not a number.

    Mistake: |output - target|, in standard deviations of the training part; the error is its mean.

    Chance: always answering the training mean has, over the training part, a mean squared error of 1 and the column's
    mean absolute deviation as error. (Repeating the last value is often better: it needs no memory either.)

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "weather.csv")
    ...     _ = path.write_text("day,level\\n" + "".join(f"{t},{t % 7}\\n" for t in range(200)))
    ...     batch = next(Series(path=path, column="level", length=5).stream(seed=0, dtype="float32").batches(4))
    >>> batch.x.shape, batch.y.shape
    ((5, 4, 1), (5, 4, 1))
    """

    source: ClassVar[str] = "the file given"
    kind: ClassVar[Kind] = "value"
    per_timestep: ClassVar[bool] = True
    inputs: ClassVar[int] = 1
    outputs: ClassVar[int] = 1

    name: Literal["series"] = "series"
    path: Path = Field(description="CSV file, UTF-8")
    column: Column = Field(description="name of the column in the header line, or its index (0 is the first)")
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="character between the cells of a line")
    decimal: Literal[".", ","] = Field(default=".", description="decimal sign of its numbers")
    missing: Missing = Field(
        default="error",
        description="what becomes of an empty cell, NA, NaN, null, - or ?: an error, its line left out, or a value on "
        "the straight line between its neighbours",
    )
    length: int = Field(default=50, ge=1, description="length of a window, in timesteps (lines of the file)")
    stride: int = Field(default=1, ge=1, description="timesteps from the beginning of one window to that of the next")
    validation: float = Field(default=0.1, gt=0, lt=0.5, description="fraction of the column kept for validation")
    test: float = Field(default=0.1, gt=0, lt=0.5, description="fraction of the column, its end, kept for the test")

    @field_validator("decimal")
    @classmethod
    def _is_no_delimiter(cls, decimal: str, info: ValidationInfo) -> str:
        if decimal == info.data.get("delimiter"):
            raise ValueError(
                f"{decimal!r} stands between the cells as well; give the delimiter of the file, such as ';'"
            )
        return decimal

    @property
    def timesteps(self) -> int:
        return self.length

    def files(self) -> list[Path]:
        return [self.path]

    def stream(self, seed: int, dtype: DTypeLike) -> Source:
        held = self._held()

        def gather(starts: Ints) -> Batch:
            values = held.values[starts + np.arange(self.length + 1)[:, None], None].astype(dtype)
            return Batch(values[:-1], values[1:])

        return HeldSource(held.parts, gather, seed)

    def chance(self) -> Chance:
        return Chance(1.0, self._held().deviation)

    def _held(self) -> _Column:
        span = (self.validation, self.test, self.length, self.stride)
        return _load((self.path,), self.column, self.delimiter, self.decimal, self.missing, *span)


@dataclass(frozen=True, eq=False)
class _Column:
    """Standardized values [n], the first timesteps of the windows, and the training part's mean absolute value."""

    values: NDArray[np.float64]
    parts: Parts
    deviation: float


@cached
def _load(
    paths: Paths,
    column: int | str,
    delimiter: str,
    decimal: str,
    missing: Missing,
    validation: float,
    test: float,
    length: int,
    stride: int,
) -> _Column:
    (path,) = paths
    raw = _read(path, column, delimiter, decimal, missing)
    parts = windows(len(raw), validation, test, length, stride, f"{path}: column {column!r} has {len(raw)} values")
    train = raw[: contiguous(len(raw), validation, test)[0]]
    mean, deviation = train.mean(), train.std()
    if not 0 < deviation < math.inf:
        raise DataFormatError(f"{path}: column {column!r} does not vary over its training part, or beyond all measure")
    values = (raw - mean) / deviation
    return _Column(values, parts, float(np.abs(values[: len(train)]).mean()))


def _read(path: Path, column: int | str, delimiter: str, decimal: str, missing: Missing) -> NDArray[np.float64]:
    """The numbers of a column. Raises DataFormatError with the line at fault, and what to do about it."""
    lines = csv.reader(StringIO(read_text(path), newline=""), delimiter=delimiter)
    index, values = column if isinstance(column, int) else None, list[float]()
    try:
        for cells in filter(None, lines):
            if index is None:
                index = _index(cells, str(column), path)
            elif (value := _number(cells, index, decimal)) is not None:
                values.append(value)
            elif missing != "error" and _is_missing(cells, index):
                values.append(math.nan)
            elif values or lines.line_num > 1 or index >= len(cells):
                cell = repr(cells[index]) if index < len(cells) else f"a line of {len(cells)} cells"
                wanted = f"column {column!r} wants a finite number, not {cell}{_remedy(cells, index, decimal)}"
                raise DataFormatError(f"{path}:{lines.line_num}: {wanted}")
    except csv.Error as error:
        raise DataFormatError(f"{path}:{lines.line_num}: {error}") from error
    return _filled(np.array(values, dtype=np.float64), missing)


def _filled(values: NDArray[np.float64], missing: Missing) -> NDArray[np.float64]:
    """The values without those that are missing, or with a straight line in their place; the nearest at the ends."""
    known = ~np.isnan(values)
    if missing == "skip" or not known.any():
        kept: NDArray[np.float64] = values[known]
        return kept
    at = np.arange(len(values))
    filled: NDArray[np.float64] = np.interp(at, at[known], values[known])
    return filled


def _is_missing(cells: list[str], index: int) -> bool:
    return index < len(cells) and cells[index].strip().lower() in _MISSING


def _remedy(cells: list[str], index: int, decimal: str) -> str:
    """What to do about a cell that is no number, where that is known."""
    if _is_missing(cells, index):
        return "; task.missing: skip leaves such lines out, interpolate fills them"
    other = "," if decimal == "." else "."
    if (value := _number(cells, index, other)) is not None:
        return f"; with task.decimal: '{other}' it is {value:g}"
    return ""


def _index(header: list[str], column: str, path: Path) -> int:
    names = [cell.strip() for cell in header]
    if column not in names:
        raise DataFormatError(f"{path}:1: there is no column {column!r}; the header has {', '.join(names)}")
    return names.index(column)


def _number(cells: list[str], index: int, decimal: str) -> float | None:
    """The cell as a finite number, or None."""
    try:
        cell = cells[index]
        # With a decimal comma a point separates thousands, if anything: which of the two is not guessed.
        value = float(cell if decimal == "." else cell.replace(".", "?").replace(decimal, "."))
    except (ValueError, IndexError):
        return None
    return value if math.isfinite(value) else None
