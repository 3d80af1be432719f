"""What is exported of a run: its settings and tags, scalars by update, and records as Arrow tables."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.analysis.curve import effective_lag
from rnnlab.compare.measured import verdict_at
from rnnlab.errors import RunFolderError, UsageError
from rnnlab.runs.grids import GradientGrids, Grid
from rnnlab.runs.readers import gradients_of, metrics_of, tables_of

if TYPE_CHECKING:
    import pyarrow as pa

    from rnnlab.runs.run import Run

_NOT_SCALARS = ("update", "seconds")
_OF_INFO = ("status", "reason", "sweep", "identity", "started", "ended")


@dataclass(frozen=True)
class Scalars:
    """One figure by update, in order; updates without one, and NaN, are left out.

    >>> from rnnlab.report.exporters.content import Scalars
    >>> scalars = Scalars.of("loss", [0, 10, 20], [0.5, float("nan"), 0.1])
    >>> scalars.updates.tolist(), scalars.values.tolist()
    ([0, 20], [0.5, 0.1])
    """

    name: str
    updates: NDArray[np.int64]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, name: str, updates: Any, values: Any) -> Scalars:
        """The figures that there are."""
        at, y = np.asarray(updates, np.int64), np.asarray(values, np.float64)
        return cls(name, at[~np.isnan(y)], y[~np.isnan(y)])


@dataclass(frozen=True)
class RunContent:
    """One run to be exported, read as it is asked for; `name` is the one that it is shown under.

    >>> import rnnlab
    >>> from rnnlab.report.exporters.content import RunContent
    >>> content = RunContent("mine", rnnlab.Run("runs/rnn-T40-s0"))
    >>> [scalars.name for scalars in content.scalars][-3:]
    ['gradient/layer0/h/rate', 'gradient/layer0/h/horizon', 'gradient/layer0/h/effective_lag']
    """

    name: str
    run: Run

    @property
    def settings(self) -> Mapping[str, Any]:
        """The resolved config, by dotted keys."""
        return self.run.settings

    @property
    def tags(self) -> dict[str, str]:
        """How the run ended and where it comes from, as texts."""
        info = self.run.info
        tags = {key: str(info[key]) for key in _OF_INFO if info.get(key)}
        tags |= {"status": self.run.status, "folder": str(self.run.path)}
        tags |= {f"version.{name}": str(of) for name, of in (info.get("versions") or {}).items() if of}
        if verdict := (info.get("verdict") or {}).get("short"):
            tags["verdict"] = str(verdict)
        return tags

    @cached_property
    def metrics(self) -> pa.Table:
        """metrics.csv, with sentinel values. Raises RunFolderError."""
        return metrics_of(self.run.dir)

    @property
    def gradients(self) -> pa.Table:
        """gradients.csv, with sentinel values. Raises RunFolderError."""
        return gradients_of(self.run.dir)

    @property
    def probes(self) -> pa.Table | None:
        """probes.csv; None where no probe has a table. Raises RunFolderError."""
        return tables_of(self.run.dir) if self.run.dir.tables.exists() else None

    @cached_property
    def grids(self) -> dict[str, Grid]:
        """The log10 norms by update and own lag, by `layer0/h` and so on; empty where none can be read."""
        try:
            readings = GradientGrids(self.run.dir)
        except RunFolderError:
            return {}
        return {name: grid for layer in readings.layers for name, grid in _of_layer(readings, layer)}

    @cached_property
    def scalars(self) -> list[Scalars]:
        """The columns of metrics.csv, and rate, horizon and effective lag of each state's gradient."""
        return [*self._of_metrics(), *(one for name, grid in self.grids.items() for one in _of_grid(name, grid))]

    def _of_metrics(self) -> Iterator[Scalars]:
        try:
            table = self.metrics
        except RunFolderError:
            return
        for name in table.column_names:
            if name not in _NOT_SCALARS:
                yield Scalars.of(name, table["update"].to_numpy(), table[name].to_numpy())

    def milliseconds(self, updates: NDArray[np.int64]) -> NDArray[np.int64]:
        """When these updates were made, since 1970: the run's start and the seconds of metrics.csv, interpolated."""
        start = _start(self.run.info.get("started"))
        try:
            at, seconds = self.metrics["update"].to_numpy(), self.metrics["seconds"].to_numpy()
        except RunFolderError:
            at = seconds = np.zeros(0)
        since = np.interp(updates, at, np.nan_to_num(seconds)) if len(at) else np.zeros(len(updates))
        return np.asarray(1000 * (start + since), np.int64)

    @property
    def notes(self) -> list[str]:
        """What cannot be read of it, each with the reason."""
        readers: dict[str, Callable[[], Any]] = {
            "metrics": lambda: self.metrics,
            "gradients": lambda: self.gradients,
            "probes": lambda: self.probes,
        }
        notes = []
        for name, read in readers.items():
            try:
                read()
            except RunFolderError as error:
                notes.append(f"without its {name}: {error}")
        return notes


def _of_layer(readings: GradientGrids, layer: int) -> Iterator[tuple[str, Grid]]:
    for state in readings.states():
        try:
            yield f"layer{layer}/{state}", readings.grid(state, layer)
        except UsageError:  # a state that this layer does not have
            continue


def _of_grid(name: str, grid: Grid) -> Iterator[Scalars]:
    figures = np.array([_figures(grid, row) for row in range(len(grid.updates))], np.float64).reshape(-1, 3)
    for at, figure in enumerate(("rate", "horizon", "effective_lag")):
        yield Scalars.of(f"gradient/{name}/{figure}", grid.updates, figures[:, at])


def _figures(grid: Grid, row: int) -> tuple[float | None, float | None, float | None]:
    """Rate, horizon and effective lag at one update; None where a figure is not defined, or lies beyond the lags."""
    lags, norms = grid.curve(row)
    verdict = verdict_at(grid, row)
    weighted = effective_lag(lags, norms) if verdict.is_of_recurrence else None
    return None if verdict.fit is None else verdict.fit.rate, verdict.horizon, weighted


def _start(text: Any) -> float:
    try:
        return datetime.datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0
