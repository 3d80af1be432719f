"""Faster copies of files that are read often: gradients.csv as Parquet, configs in a `Store`."""

from __future__ import annotations

import contextlib
import io
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rnnlab.atomic import atomic, clear_drafts
from rnnlab.errors import RunFailedError
from rnnlab.regular import read_regular
from rnnlab.runs.columns import OWN_LAG
from rnnlab.runs.folder import RunFolder, bookkeeping
from rnnlab.runs.hidden import fault_of_file
from rnnlab.runs.readers import gradients_of
from rnnlab.runs.run_config import fault_of_config, read_config
from rnnlab.runs.store import Store, stamp_of
from rnnlab.wording import encodable

if TYPE_CHECKING:
    import pyarrow as pa

_AT_TIMESTEP = ("update", "layer", "state", "lag", "log10_norm")
CACHED_COLUMNS = (*_AT_TIMESTEP, *(column.name for column in OWN_LAG))
"""The columns that are cached: the curves of a report are by own lag, and its heat maps by timestep, T-1-lag."""
_STAMP = b"rnnlab"
_CHECKSUM = 4
"""Bytes of the checksum at the end of a copy."""
_SMALLEST_CSV = 200_000
"""Bytes; a smaller file is read as fast as a second one is opened."""

T = TypeVar("T")
S = TypeVar("S")


def cached_gradients(run: RunFolder) -> pa.Table:
    """The cached columns of a run's gradients.csv, with the sentinel values of `readers.read_table`.

    Raises RunFolderError where the file is missing or broken.
    """
    stamp, path = stamp_of(run.gradients), _path(run)
    # Arrow opens no file whose name is not UTF-8.
    if fault_of_file(run.path.parent, "gradients", path.name) is not None or encodable(str(path)) != str(path):
        return gradients_of(run).select(CACHED_COLUMNS)
    if stamp is not None and (cached := _read(path, stamp)) is not None:
        return cached
    table = gradients_of(run).select(CACHED_COLUMNS)
    # The file of a run that is still training changes again soon.
    if (
        not run.trust
        and stamp is not None
        and stamp == stamp_of(run.gradients)
        and os.path.getsize(run.gradients) > _SMALLEST_CSV
    ):
        _write(table, path, stamp)
    return table


def map_in_threads(task: Callable[[T], S], items: Iterable[T]) -> Iterator[S]:
    """The task's results, in the order of the items.

    Arrow releases Python's lock while it reads and parses, so that two threads are twice as fast.
    """
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        yield from pool.map(task, items)


def cached_configs(
    root: Path, runs: Iterable[RunFolder], seals: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """The resolved configs of all runs of a folder, by name; those that cannot be read are left out.

    seals: the length and hash that run.json gives for a config, by the run's name; where they change it is read again.
    """
    folders, known = {run.name: run for run in runs}, seals or {}
    changed = {name: stamp for name, run in folders.items() if (stamp := stamp_of(run.config)) is not None}
    stamps = {name: f"{stamp} {known.get(name, '-')}" for name, stamp in changed.items()}
    with Store(root, "config", lambda value: fault_of_config(value) is None) as store:
        store.refresh(stamps, lambda name: read_config(folders[name]))
        return dict(store.values)


def _path(run: RunFolder) -> Path:
    return bookkeeping(run.path.parent) / "gradients" / f"{run.name}.parquet"


def _read(path: Path, stamp: str) -> pa.Table | None:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        data = read_regular(path)
        # Arrow reads a flipped bit as another number.
        if data[-_CHECKSUM:] != _checksum(memoryview(data)[:-_CHECKSUM]):
            return None
        with parquet.ParquetFile(pa.BufferReader(pa.py_buffer(data).slice(0, len(data) - _CHECKSUM))) as file:
            if (file.schema_arrow.metadata or {}).get(_STAMP) != stamp.encode():
                return None
            return file.read(use_threads=False)
    except (OSError, pa.ArrowException):
        return None


def _write(table: pa.Table, path: Path, stamp: str) -> None:
    from pyarrow import parquet

    stamped = table.replace_schema_metadata({_STAMP: stamp.encode()})
    with contextlib.suppress(OSError, RunFailedError):
        path.parent.mkdir(parents=True, exist_ok=True)
        _delete_stale(path.parent)
        memory = io.BytesIO()
        parquet.write_table(stamped, memory, compression="lz4", use_dictionary=["state"], write_statistics=False)
        with atomic(path) as file:
            file.write(memory.getbuffer())
            file.write(_checksum(memory.getbuffer()))


def _checksum(content: memoryview) -> bytes:
    """What the file of a copy ends with."""
    return zlib.crc32(content).to_bytes(_CHECKSUM, "big")


@lru_cache
def _delete_stale(folder: Path) -> None:
    """Delete the copies of runs that no longer exist; once per process, since it looks at every run."""
    for file in folder.glob("*.parquet"):
        if not RunFolder(folder.parent.parent / file.stem).is_run:
            file.unlink(missing_ok=True)
    clear_drafts(folder)
