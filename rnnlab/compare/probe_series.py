"""What probes measured of a group: over its runs the median by place and by update, with the interval of the mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnlab.compare.measured import median_curve
from rnnlab.errors import RunFolderError
from rnnlab.probes import PROBES
from rnnlab.runs.readers import as_frame, metrics_of, tables_of
from rnnlab.runs.run import Run

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Key = tuple[str, str, int, str]
"""Probe, quantity, layer and part."""
WHOLE = -1
"""In the place of a layer: of the whole network."""


@dataclass(frozen=True)
class Spread:
    """At each x over runs: the median, the t interval of the mean, and the number of runs that have a value there.

    The interval is NaN below 3 runs, and where a value is not finite.

    >>> spread = Spread.of([([0, 1], [1.0, 2.0]), ([0, 1], [3.0, 4.0]), ([0], [5.0])])
    >>> spread.median.tolist(), spread.runs.tolist()
    ([3.0, 3.0], [3, 2])
    """

    x: Places
    median: Floats
    low: Floats
    high: Floats
    runs: Places

    @classmethod
    def of(cls, curves: Sequence[tuple[ArrayLike, ArrayLike]]) -> Spread:
        """The spread of runs, each with its x and its values, which are not NaN."""
        curve = median_curve([(np.asarray(x, np.int64), np.asarray(values, np.float64)) for x, values in curves])
        return cls(curve.lags, curve.median, curve.low, curve.high, curve.count)


@dataclass(frozen=True)
class Reading:
    """One run's values of a quantity, none of them NaN, each with its place and update.

    >>> reading = Reading(np.array([1, 9, 1, 9]), np.array([0, 0, 5, 5]), np.array([-1.0, -9.0, -2.0, -20.0]))
    >>> reading.update(at=1), [array.tolist() for array in reading.by_place(reading.update(None))]
    (0, [[1, 9], [-2.0, -20.0]])
    """

    at: Places
    updates: Places
    values: Floats

    def update(self, at: int | None) -> int:
        """The update nearest to `at`, or the last one."""
        return int(self.updates.max() if at is None else self.updates[np.abs(self.updates - at).argmin()])

    def by_place(self, update: int) -> tuple[Places, Floats]:
        """The places and values of one update."""
        chosen = self.updates == update
        return self.at[chosen], self.values[chosen]


Readings = dict[Key, Reading]


@dataclass(frozen=True)
class ProbeSeries:
    """One quantity of a probe in a group, of one layer and part.

    >>> reading = Reading(np.array([1, 9]), np.array([0, 0]), np.array([-1.0, -9.0]))
    >>> (series,) = probe_series([{("jacobian", "log10_sigma_max", 0, ""): reading}])["jacobian"]
    >>> series.quantity, series.drawn.x.tolist(), series.by_update is None
    ('log10_sigma_max', [1, 9], True)
    """

    quantity: str
    layer: int
    """WHOLE for a column of metrics.csv."""
    part: str
    update: int
    """The last of the updates that the runs' readings are of."""
    reading: Spread
    """By place, at each run's update nearest to the one that was asked for, or its last."""
    by_update: Spread | None
    """Of what has one place, by update."""

    @property
    def drawn(self) -> Spread:
        """What a chart shows of it."""
        return self.reading if self.by_update is None else self.by_update


def run_readings(run: Run, probes: Sequence[str]) -> tuple[Readings, str]:
    """What these probes measured in a run, and why its probes.csv cannot be read, if it cannot."""
    columns = {column: name for name in probes if name in PROBES for column in _columns(name)}
    readings: Readings = {}
    try:
        metrics = metrics_of(run.dir) if columns else None
    except RunFolderError:
        # That it cannot be read is said of metrics.csv itself.
        metrics = None
    if metrics is not None:
        updates = metrics["update"].to_numpy().astype(np.int64)
        for column, name in columns.items():
            if column in metrics.column_names:
                values = metrics[column].to_numpy().astype(np.float64)
                _keep(readings, (name, column, WHOLE, ""), np.zeros(len(values), np.int64), updates, values)
    try:
        table = as_frame(tables_of(run.dir)) if run.dir.tables.exists() else None
    except RunFolderError as error:
        return readings, str(error)
    if table is not None:
        rows = table[table["probe"].isin([*probes])].fillna({"part": ""})
        for key, of in rows.groupby(["probe", "quantity", "layer", "part"], sort=False):
            name, quantity, layer, part = cast("tuple[str, str, int, str]", key)
            arrays = (of[column].to_numpy() for column in ("at", "update", "value"))
            _keep(readings, (name, quantity, int(layer), part), *arrays)
    return readings, ""


def _columns(probe: str) -> list[str]:
    return [column.name for column in PROBES[probe].columns]


def _keep(readings: Readings, key: Key, at: Places, updates: Places, values: Floats) -> None:
    """Put in what has a value."""
    if (there := ~np.isnan(values)).any():
        readings[key] = Reading(at[there], updates[there], values[there])


def probe_series(runs: Sequence[Readings], at: int | None = None) -> Mapping[str, tuple[ProbeSeries, ...]]:
    """By probe, what the runs of a group measured, read at each run's update nearest to `at`, or its last."""
    series: dict[str, list[ProbeSeries]] = {}
    for key in dict.fromkeys(key for readings in runs for key in readings):
        probe, quantity, layer, part = key
        of_runs = [readings[key] for readings in runs if key in readings]
        chosen = [reading.update(at) for reading in of_runs]
        by_place = [reading.by_place(update) for reading, update in zip(of_runs, chosen, strict=True)]
        single = all((reading.at == reading.at[0]).all() for reading in of_runs)
        by_update = Spread.of([(reading.updates, reading.values) for reading in of_runs]) if single else None
        measured = ProbeSeries(quantity, layer, part, max(chosen), Spread.of(by_place), by_update)
        series.setdefault(probe, []).append(measured)
    return {probe: tuple(sorted(of_probe, key=lambda each: each.layer)) for probe, of_probe in series.items()}
