"""What is read of runs again and again, in a quicker form beside them: readings as Parquet, configs as JSON.

The run's own files are the truth. What is kept is good for as long as its file has the size, inode and time of change
that it was read at; it can be deleted at any time, and where none can be written, the file is read again the next time.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rnnlab.atomic import atomic
from rnnlab.columns import GRADIENTS
from rnnlab.errors import RunFailedError, RunFolderError
from rnnlab.rundir import RunDir, bookkeeping
from rnnlab.tables import read_table

if TYPE_CHECKING:
    import pyarrow as pa

KEPT = tuple(column.name for column in GRADIENTS if column.name not in ("t", "norm"))
"""The columns that are cached: t is T-1-lag, and norm is 10^log10_norm wherever it can be held."""
_STAMP = b"rnnlab"
_VERSION = 1
# Below this many bytes a CSV is read as fast as a second file is opened.
_WORTH_IT = 200_000

T = TypeVar("T")
S = TypeVar("S")


def cached_gradients(run: RunDir) -> pa.Table:
    """The columns KEPT of a run's gradients.csv, with the marks of a frame (see tables.read_gradients).

    Raises RunFolderError where the file is missing or broken.
    """
    stamp, path = _stamp(run.gradients), _path(run)
    if stamp is not None and (found := _cached(path, stamp)) is not None:
        return found
    table = read_table(run.gradients, GRADIENTS).select(KEPT)
    # A run that is still being written has another file in a moment.
    if stamp is not None and stamp == _stamp(run.gradients) and os.path.getsize(run.gradients) > _WORTH_IT:
        _keep(table, path, stamp)
    return table


def at_once(task: Callable[[T], S], over: Iterable[T]) -> Iterator[S]:
    """The task's results in order. Reading and parsing let go of Python's lock, so two threads are twice as fast."""
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        yield from pool.map(task, over)


def read_config(run: RunDir) -> dict[str, Any]:
    """The resolved config of a run. Raises RunFolderError."""
    import yaml

    try:
        # The C parser is ten times as fast, where PyYAML was built with it.
        config = yaml.load(run.config.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, yaml.YAMLError) as error:
        raise RunFolderError(f"{run.config} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise RunFolderError(f"{run.config} cannot be read: it is not a mapping")
    return config


def cached_configs(root: Path, runs: Iterable[RunDir]) -> dict[str, dict[str, Any]]:
    """The resolved configs of the runs of a folder, by name; those that cannot be read are not there."""
    path = bookkeeping(root) / "configs.json"
    kept, found = _kept_configs(path), {}
    for run in runs:
        stamp = (_stamp(run.config) or b"").decode()
        if run.name in kept and kept[run.name][0] == stamp:
            found[run.name] = kept[run.name]
            continue
        with contextlib.suppress(RunFolderError):
            found[run.name] = [stamp, read_config(run)]
    if found != kept:
        with contextlib.suppress(OSError, RunFailedError, TypeError, ValueError):
            text = json.dumps(found, separators=(",", ":"))
            path.parent.mkdir(exist_ok=True)
            with atomic(path) as file:
                file.write(text.encode())
    return {name: config for name, (_, config) in found.items()}


def _kept_configs(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _path(run: RunDir) -> Path:
    return bookkeeping(run.path.parent) / "gradients" / f"{run.name}.parquet"


def _stamp(path: Path) -> bytes | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return f"{_VERSION} {about.st_mtime_ns} {about.st_size} {about.st_ino}".encode()


def _cached(path: Path, stamp: bytes) -> pa.Table | None:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            if (file.schema_arrow.metadata or {}).get(_STAMP) != stamp:
                return None
            return file.read(use_threads=False)
    except (OSError, pa.ArrowException):
        return None


def _keep(table: pa.Table, path: Path, stamp: bytes) -> None:
    from pyarrow import parquet

    marked = table.replace_schema_metadata({_STAMP: stamp})
    with contextlib.suppress(OSError, RunFailedError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as file:
            parquet.write_table(marked, file, compression="lz4", use_dictionary=["state"], write_statistics=False)
