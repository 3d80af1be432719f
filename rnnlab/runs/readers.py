"""The readers of a run's CSV files, as Arrow tables and as pandas frames. Their columns are in `columns`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rnnlab.column import Column
from rnnlab.errors import RunFolderError
from rnnlab.regular import read_regular
from rnnlab.runs.columns import AT_TIMESTEP, GRADIENTS, METRICS, OWN_LAG, TABLES
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.seals import REMEDY, Seal
from rnnlab.runs.writers import header_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_BLOCK = 1 << 22


def read_gradients(path: str | Path) -> pd.DataFrame:
    """gradients.csv as a frame. Log10 columns have sentinel values: -inf is zero, inf is not finite, NaN is underflow.

    `norm` keeps inf and nan apart. A half-written last line is not read. Of a file of an older version, which does not
    have them, the figures by own lag are those by T-1-t, and `own_samples` is -1. Raises RunFolderError.
    """
    return as_frame(_gradients(path))


def read_metrics(path: str | Path) -> pd.DataFrame:
    """metrics.csv as a frame; NaN where a cell is empty (not measured) or `nan`. Raises RunFolderError.

    Columns after those of METRICS are numbers from probes that the user added.
    """
    return as_frame(read_table(path, METRICS, open_ended=True))


def read_tables(path: str | Path) -> pd.DataFrame:
    """probes.csv as a frame, a row a value. Raises RunFolderError."""
    return as_frame(read_table(path, TABLES))


def gradients_of(run: RunFolder) -> pa.Table:
    """The gradients.csv of a run, held to what its run.json says of it. Raises RunFolderError."""
    return _held(run, run.gradients, lambda seal: _gradients(run.gradients, seal))


def metrics_of(run: RunFolder) -> pa.Table:
    """The metrics.csv of a run, held to what its run.json says of it. Raises RunFolderError."""
    return _held(run, run.metrics, lambda seal: read_table(run.metrics, METRICS, open_ended=True, seal=seal))


def tables_of(run: RunFolder) -> pa.Table:
    """The probes.csv of a run, held to what its run.json says of it. Raises RunFolderError."""
    return _held(run, run.tables, lambda seal: read_table(run.tables, TABLES, seal=seal))


def _gradients(path: str | Path, seal: Seal | None = None) -> pa.Table:
    return _with_own_lag(read_table(path, GRADIENTS, seal=seal, before=AT_TIMESTEP))


def _with_own_lag(table: pa.Table) -> pa.Table:
    """The table; where it has no columns by own lag, with those by T-1-t in their place."""
    if OWN_LAG[0].name in table.column_names:
        return table
    for column in OWN_LAG:
        source = (
            table["lag"].to_numpy() if column.kind == "count" else table[column.name.removeprefix("own_")].to_numpy()
        )
        table = table.append_column(column.name, [source if column.name != "own_samples" else np.full_like(source, -1)])
    return table


def _held(run: RunFolder, path: Path, read: Callable[[Seal | None], pa.Table]) -> pa.Table:
    seal = run.seal_of(path)
    try:
        return read(seal)
    except RunFolderError as error:
        # Another process may have begun to write there just now.
        if (again := run.seal_of(path)) != seal:
            return read(again)
        if unwritten := run.why_unwritten(path):
            raise RunFolderError(unwritten) from error
        raise


def read_table(
    path: str | Path,
    columns: Sequence[Column],
    *,
    open_ended: bool = False,
    seal: Seal | None = None,
    before: Sequence[Column] | None = None,
) -> pa.Table:
    """One of the two files as an Arrow table without nulls. Open-ended, it may have more columns, all of them numbers.

    seal: the length and hash that the file must have. before: the columns of older files, which may be there instead.

    Log10 columns have sentinel values: -inf is zero, inf is not finite, NaN is underflow. In metrics.csv NaN is not
    measured. A half-written last line is not read.
    Raises RunFolderError where the file is missing, any of its lines is broken, or two rows are of the same update (and
    of the same layer, state and timestep, or of the same quantity of a probe).
    """
    import pyarrow as pa

    path = Path(path)
    try:
        data = read_regular(path)
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror or error}") from error
    if seal is not None:
        seal.check(path, Seal.of(data), "run.json", REMEDY)
    # A number that was cut off is still a number, so only a newline says that a line is whole.
    whole = data.rfind(b"\n") + 1
    if not whole:
        return _empty(columns)
    if open_ended:
        columns = (*columns, *_added_columns(data, columns))
    if before is not None and _begins_with(data, before):
        columns = before
    if not _begins_with(data, columns):
        raise RunFolderError(f"{path} does not begin with the columns that this version of rnnlab reads")
    try:
        table = _parsed(pa.py_buffer(data).slice(0, whole), columns)
        _check_rows(table)
        return pa.table({column.name: _with_sentinels(table[column.name], column) for column in columns})
    except (pa.ArrowInvalid, ValueError) as error:
        raise RunFolderError(f"{path} is broken: {_first_line(str(error))}") from error


def _begins_with(data: bytes, columns: Sequence[Column]) -> bool:
    return data[:4096].replace(b"\r\n", b"\n", 1).startswith(header_of(columns))


def _check_rows(table: pa.Table) -> None:
    """Raise ValueError where two rows are the same update's, or an update comes after a later one."""
    if not table.num_rows or table["update"].null_count:
        return
    update = table["update"].to_numpy()
    if (back := np.flatnonzero(np.diff(update) < 0)).size:
        # The header is line 1.
        raise ValueError(f"line {back[0] + 3}: update {update[back[0] + 1]} comes after update {update[back[0]]}")
    keys = [
        table[name] for name in ("probe", "layer", "state", "part", "quantity", "t", "at") if name in table.column_names
    ]
    if any(key.null_count for key in keys):
        return
    place = update - update[0]
    for key in keys:
        codes = codes_of(key)[0] if _is_text(key) else key.to_numpy()
        place = place * (int(codes.max()) + 1) + codes
    # The writer's order; where it is another one, sorting decides.
    if (np.diff(place) > 0).all():
        return
    order = np.argsort(place, kind="stable")
    if (same := np.flatnonzero(np.diff(place[order]) == 0)).size:
        raise ValueError(f"line {order[same[0] + 1] + 2}: it is there twice, on line {order[same[0]] + 2} as well")


def _added_columns(data: bytes, columns: Sequence[Column]) -> Sequence[Column]:
    """The columns that a file has after these, according to its first line."""
    names = data[: data.index(b"\n")].decode(errors="replace").rstrip("\r").split(",")[len(columns) :]
    known = {"", *(column.name for column in columns)}
    return [Column(name, "number", "", "", "") for name in dict.fromkeys(names) if name not in known]


def _parsed(data: pa.Buffer, columns: Sequence[Column]) -> pa.Table:
    from pyarrow import csv

    # One thread: with more, errors do not know their row. `cache.map_in_threads` reads several files at once.
    return csv.read_csv(
        data,
        read_options=csv.ReadOptions(use_threads=False, block_size=_BLOCK),
        parse_options=csv.ParseOptions(quote_char=False, double_quote=False, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types={column.name: _arrow_type(column) for column in columns},
            null_values=[""],
            strings_can_be_null=False,
        ),
    )


def _arrow_type(column: Column) -> pa.DataType:
    import pyarrow as pa

    text = pa.dictionary(pa.int32(), pa.string())
    return {"count": pa.int64(), "text": text}.get(column.kind, pa.float64())


def _empty(columns: Sequence[Column]) -> pa.Table:
    import pyarrow as pa

    return pa.table({column.name: pa.array([], _arrow_type(column)) for column in columns})


def _with_sentinels(cells: pa.ChunkedArray, column: Column) -> pa.ChunkedArray | NDArray[np.float64]:
    """The cells with the sentinel values in place of nulls; raises ValueError where a count is empty.

    In a log10 column `nan` becomes inf, so that NaN, which an empty cell becomes, is underflow and nothing else.
    """
    if column.kind == "text":
        return cells
    if column.kind == "count":
        if cells.null_count:
            # The header is line 1.
            line = int(np.flatnonzero(cells.is_null().to_numpy())[0]) + 2
            raise ValueError(f"line {line}: its {column.name} is empty")
        return cells
    # Nulls read as NaN here.
    values = cells.to_numpy()
    if column.kind == "log10" and (undefined := np.isnan(values)).any():
        if cells.null_count:
            undefined &= ~cells.is_null().to_numpy()
        values = np.where(undefined, np.inf, values)
    return values


def as_frame(table: pa.Table) -> pd.DataFrame:
    """The table as a frame; columns of text become strings."""
    import pandas as pd

    cells = {name: table[name] for name in table.column_names}
    return pd.DataFrame(
        {
            name: pd.Categorical.from_codes(*codes_of(column)).astype("str") if _is_text(column) else column.to_numpy()
            for name, column in cells.items()
        }
    )


def _is_text(column: pa.ChunkedArray) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_dictionary(column.type))


def codes_of(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], pd.Index[str]]:
    """Which text each cell of a column holds, and the texts."""
    import pandas as pd

    whole = column.unify_dictionaries().combine_chunks()
    return whole.indices.to_numpy(), pd.Index(whole.dictionary.to_pylist(), dtype="str")


def _first_line(message: str) -> str:
    """Arrow's message, without the content of the line."""
    return message.removeprefix("CSV parse error: ").split("\n")[0][:200]
