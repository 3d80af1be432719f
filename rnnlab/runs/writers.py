"""Write a run's CSV files. Their columns are in `columns`; `readers` reads them."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from rnnlab.column import Column
from rnnlab.errors import RunFailedError, RunFolderError
from rnnlab.runs.columns import GRADIENTS, METRICS, TABLES
from rnnlab.runs.seals import Seal, Sealer, seal_of_file


class _Csv:
    """A CSV that only ever holds whole rows, in the order of their updates. It knows its length and hash."""

    def __init__(self, path: Path, columns: Sequence[Column], kept: Seal | None) -> None:
        self._path = path
        self._last: int | None = None
        header = header_of(columns)
        try:
            if kept is not None:
                _cut_to(path, kept)
            _drop_partial_line(path, header)
            self._sealer = Sealer()
            if path.exists():
                self._sealer.read(path)
            # Unbuffered: a written row has reached the system, and closing cannot fail any more.
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise RunFolderError(f"{path} cannot be written: {error.strerror or error}") from error
        if not self._file.tell():
            self._begin(header)

    def _begin(self, header: bytes) -> None:
        try:
            self._put(header)
        except RunFailedError:
            self.close()
            raise

    def append(self, update: int, rows: Iterable[str]) -> None:
        """Write the rows of one update; all of them or none. Raises RunFailedError."""
        self._put("".join(f"{row}\n" for row in rows).encode())
        self._last = update

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self._sealer.length)
            raise RunFailedError(
                f"{self._path} cannot be written: {error.strerror or error}; {self._advice()}"
            ) from error
        self._sealer.add(data)

    def sync(self) -> Seal:
        """Wait until all rows are on the disk; their seal. A closed file keeps its seal. Raises RunFailedError."""
        if self._file.closed:
            return self._sealer.seal()
        try:
            # A row that an interruption left half-written is none.
            self._file.truncate(self._sealer.length)
            os.fsync(self._file.fileno())
        except OSError as error:
            raise RunFailedError(f"{self._path} cannot be written: {error.strerror or error}") from error
        return self._sealer.seal()

    def _advice(self) -> str:
        state = "nothing was added to it" if self._last is None else f"its rows up to update {self._last} are kept"
        return f"{state}; make room on the disk, or choose another with --out, and start the run again"

    def close(self) -> None:
        self._file.close()


class _Log:
    """What both logs have in common: a CSV file with columns, opened for appending."""

    def __init__(self, path: Path, columns: Sequence[Column], kept: Seal | None) -> None:
        self._columns = columns
        self._csv = _Csv(path, columns, kept)

    def sync(self) -> Seal:
        """Wait until all rows are on the disk; the length and hash of the file. Raises RunFailedError."""
        return self._csv.sync()

    def close(self) -> None:
        self._csv.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class GradientLog(_Log):
    """Appends to gradients.csv. A file from an interrupted run is continued, without its half-written last line.

    kept: the file as a checkpoint counts on it; what was appended later is removed.

    Raises RunFolderError when the file cannot be opened, is another table or is not what was kept, RunFailedError when
    it cannot grow.

    >>> from pathlib import Path
    >>> from rnnlab.runs.readers import read_gradients
    >>> from rnnlab.runs.writers import GradientLog
    >>> from rnnlab.runs.columns import GRADIENTS
    >>> columns = {column.name: [1, 0] for column in GRADIENTS[3:]}
    >>> with GradientLog(Path("gradients.csv")) as log:
    ...     log.write(update=0, layer=0, state="h", columns=columns)
    >>> read_gradients("gradients.csv")["log10_norm"].tolist()
    [1.0, 0.0]
    """

    def __init__(self, path: Path, kept: Seal | None = None) -> None:
        super().__init__(path, GRADIENTS, kept)

    def write(self, update: int, layer: int, state: str, columns: Mapping[str, ArrayLike]) -> None:
        """One row a timestep. columns: all from `t` on by name, each with one entry a timestep.

        In the log10 arrays -inf is exactly zero, inf and nan are not finite, and an entry that is *masked*
        (`numpy.ma`) is underflow: not zero, but too small for the number format.
        """
        # By own lag the figures are mostly those by timestep, in the same arrays.
        written: dict[tuple[str, int], list[str]] = {}
        cells = []
        for column in GRADIENTS[_KEYS:]:
            key = column.kind, id(values := columns[column.name])
            cells.append(written[key] if key in written else written.setdefault(key, _CELLS[column.kind](values)))
        prefix = f"{update},{layer},{state},"
        self._csv.append(update, (prefix + ",".join(row) for row in zip(*cells, strict=True)))


class MetricsLog(_Log):
    """Appends to metrics.csv, one row an update. Opening, continuing and closing are as in GradientLog.

    columns: those of the run's probes, as `metrics_columns` gives them.

    >>> from pathlib import Path
    >>> from rnnlab.runs.readers import read_metrics
    >>> from rnnlab.runs.writers import MetricsLog
    >>> with MetricsLog(Path("metrics.csv")) as log:
    ...     log.write({"update": 0, "loss": 0.5})
    >>> read_metrics("metrics.csv")[["update", "loss", "eval_loss"]].values.tolist()
    [[0.0, 0.5, nan]]
    """

    def __init__(self, path: Path, columns: Sequence[Column] = METRICS, kept: Seal | None = None) -> None:
        super().__init__(path, columns, kept)

    def write(self, row: Mapping[str, float | None]) -> None:
        """One row; a column that is left out or None was not measured, and its cell stays empty."""
        if unknown := set(row) - {column.name for column in self._columns}:
            raise ValueError(f"metrics.csv has no column {', '.join(sorted(unknown))}")
        update = int(row["update"] or 0)
        cells = [str(update), *(_number(row.get(column.name)) for column in self._columns[1:])]
        self._csv.append(update, [",".join(cells)])


class TableLog(_Log):
    """Appends to probes.csv, one row a value. Opening, continuing and closing are as in GradientLog.

    >>> from pathlib import Path
    >>> from rnnlab.runs.readers import read_tables
    >>> from rnnlab.runs.writers import TableLog
    >>> with TableLog(Path("probes.csv")) as log:
    ...     log.write(0, "jacobian", layer=0, part="", at=[1, 2], values={"log10_sigma_max": [-0.1, -0.2]})
    >>> read_tables("probes.csv")[["at", "value"]].values.tolist()
    [[1.0, -0.1], [2.0, -0.2]]
    """

    def __init__(self, path: Path, kept: Seal | None = None) -> None:
        super().__init__(path, TABLES, kept)

    def write(
        self, update: int, probe: str, layer: int, part: str, at: ArrayLike, values: Mapping[str, ArrayLike]
    ) -> None:
        """Write the values of each quantity, all of which have one entry for each of `at`."""
        places = _counts(at)
        self._csv.append(
            update,
            [
                f"{update},{probe},{layer},{part},{place},{quantity},{value}"
                for quantity, numbers in values.items()
                for place, value in zip(places, _numbers(numbers), strict=True)
            ],
        )


def header_of(columns: Sequence[Column]) -> bytes:
    """The first line of a file with these columns."""
    return (",".join(column.name for column in columns) + "\n").encode()


def _counts(values: ArrayLike) -> list[str]:
    return list(map(str, np.asarray(values, np.int64).tolist()))


def _numbers(values: ArrayLike) -> list[str]:
    return list(map(repr, np.asarray(values, np.float64).tolist()))


def _number(value: float | None) -> str:
    return "" if value is None else repr(float(value))


def _decades(values: ArrayLike) -> list[str]:
    # Nine decimals of a decade are 2 parts in 1e9 of the norm, in two thirds of the bytes of all seventeen digits.
    cells = [f"{value:.9f}" for value in np.asarray(values, np.float64).tolist()]
    for underflow in np.flatnonzero(getattr(values, "mask", False)):
        cells[underflow] = ""
    return cells


_CELLS = {"count": _counts, "number": _numbers, "log10": _decades}
_KEYS = [column.name for column in GRADIENTS].index("t")
"""Columns of gradients.csv before `t`: update, layer, state."""


def _drop_partial_line(path: Path, header: bytes) -> None:
    """Remove the bytes after the last newline. Raises RunFolderError for a file with other columns."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        head = file.read(len(header))
        if not header.startswith(head):
            raise RunFolderError(f"{path} does not begin with the columns that this version of rnnlab writes")
        file.truncate(_whole_lines_length(path))


def _whole_lines_length(path: Path) -> int:
    """The length in bytes of the lines that end with a newline."""
    with path.open("rb") as file:
        end = file.seek(0, io.SEEK_END)
        while end:
            start = max(0, end - 65536)
            file.seek(start)
            if (at := file.read(end - start).rfind(b"\n")) >= 0:
                return start + at + 1
            end = start
    return 0


def check_kept(path: Path, kept: Seal) -> None:
    """Raise RunFolderError unless the file begins with the bytes that a checkpoint counts on."""
    kept.check(path, seal_of_file(path, kept.length), "the checkpoint")


def _cut_to(path: Path, kept: Seal) -> None:
    """Remove what was appended after a checkpoint. Raises RunFolderError where something before it is missing."""
    check_kept(path, kept)
    os.truncate(path, kept.length)
