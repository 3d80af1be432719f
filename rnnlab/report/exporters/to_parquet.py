"""For pandas, Arrow, DuckDB and the like: metrics, gradients and probes of all runs, with the settings as columns."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rnnlab.errors import RunFolderError
from rnnlab.report.exporters.base import Exporter
from rnnlab.report.exporters.content import RunContent

if TYPE_CHECKING:
    import pyarrow as pa

_OF_RUN = ("run", "status")
_RECORDS: Mapping[str, Callable[[RunContent], Any]] = {
    "metrics": lambda run: run.metrics,
    "gradients": lambda run: run.gradients,
    "probes": lambda run: run.probes,
}


class Parquet(Exporter):
    """metrics.parquet, gradients.parquet and probes.parquet, in which each row has its run's settings as columns.

    >>> from rnnlab.report.exporters import EXPORTERS
    >>> EXPORTERS["parquet"].name
    'parquet'
    """

    name: ClassVar[str] = "parquet"
    packages: ClassVar[tuple[str, ...]] = ("pyarrow",)

    def write(self, runs: Iterable[RunContent], folder: Path, place: Path) -> None:
        """A file for each kind of record that any run has; a row group a run, so that one is in memory at a time."""
        contents = list(runs)
        settings = _setting_types([content.settings for content in contents])
        for kind, read in _RECORDS.items():
            tables = [(content, schema) for content in contents if (schema := _schema(content, read)) is not None]
            if tables:
                _write(folder / f"{kind}.parquet", tables, read, settings)


def _schema(content: RunContent, read: Callable[[RunContent], Any]) -> pa.Schema | None:
    """The columns of a run's record; None where it has none that can be read."""
    with contextlib.suppress(RunFolderError):
        table = read(content)
        return None if table is None else table.schema
    return None


def _write(
    path: Path,
    tables: Sequence[tuple[RunContent, pa.Schema]],
    read: Callable[[RunContent], Any],
    settings: Mapping[str, pa.DataType],
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Columns that only some runs have, of probes from outside, are null in the others.
    record = {field.name: field.type for _, schema in tables for field in schema}
    text = pa.dictionary(pa.int32(), pa.string())
    labels = dict.fromkeys(_OF_RUN, text) | dict(settings)
    named = {key: key if key not in record and key not in _OF_RUN else f"setting.{key}" for key in settings}
    fields = [pa.field(named.get(key, key), kind) for key, kind in labels.items()]
    schema = pa.schema([*fields, *(pa.field(name, kind) for name, kind in record.items())])
    with pq.ParquetWriter(path, schema) as writer:
        for content, _ in tables:
            writer.write_table(_joined(content, read(content), labels, record, schema))


def _joined(
    content: RunContent,
    table: pa.Table,
    labels: Mapping[str, pa.DataType],
    record: Mapping[str, pa.DataType],
    schema: pa.Schema,
) -> pa.Table:
    """The record of one run with its labels before it."""
    import pyarrow as pa

    values = {"run": content.name, "status": content.run.status} | {
        key: content.settings.get(key) for key in labels if key not in _OF_RUN
    }
    before = [_repeated(values[key], kind, table.num_rows) for key, kind in labels.items()]
    has = set(table.column_names)
    after = [table[name] if name in has else pa.nulls(table.num_rows, kind) for name, kind in record.items()]
    return pa.table([*before, *after], schema=schema)


def _repeated(value: Any, kind: pa.DataType, count: int) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        text = value if value is None or isinstance(value, str) else json.dumps(value, default=str)
        codes = pa.array([None if text is None else 0] * count, kind.index_type)
        return pa.DictionaryArray.from_arrays(codes, pa.array([text or ""], pa.string()))
    return pa.repeat(pa.scalar(value, kind), count)


def _setting_types(settings: Sequence[Mapping[str, Any]]) -> dict[str, pa.DataType]:
    """The type of each setting's column: whole numbers, numbers, truth values, or text where runs differ in kind."""
    import pyarrow as pa

    types = {}
    for key in dict.fromkeys(key for run in settings for key in run):
        kinds = {type(run[key]) for run in settings if run.get(key) is not None}
        fits = {frozenset({bool}): pa.bool_(), frozenset({int}): pa.int64()}
        numbers = pa.float64() if kinds and kinds <= {int, float} else pa.dictionary(pa.int32(), pa.string())
        types[key] = fits.get(frozenset(kinds), numbers)
    return types
