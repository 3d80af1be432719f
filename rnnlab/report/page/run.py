"""One run on the page: its heat map, its curves at some updates, its norms, and its origin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.errors import RunFolderError
from rnnlab.report.formatting import format_number, format_setting
from rnnlab.report.page.encoding import envelope, evenly, pack_decades, pack_floats
from rnnlab.report.terminal.listing import repeat_command
from rnnlab.runs.cache import map_in_threads
from rnnlab.runs.grids import Floats, GradientGrids, Grid
from rnnlab.runs.readers import metrics_of

if TYPE_CHECKING:
    from rnnlab.compare.groups import Groups, MeasuredGroups
    from rnnlab.compare.measured import Curve
    from rnnlab.runs.run import Run

_HEAT_BYTES = 3_000_000
_DETAIL_BYTES = 2_200_000
_METRICS_BYTES = 1_600_000
# Base64 has four letters for three bytes.
_LETTERS = 4 / 3
_SMALLEST_HEAT = 400
_METRICS = ("loss", "error", "eval_loss", "eval_error", "grad_norm", "grad_norm_clipped", "clipped")
_NORMS = ("grad_norm", "grad_norm_clipped", "clipped")


@dataclass(frozen=True)
class Size:
    """How much of each run fits on the page, given the number of runs.

    >>> from rnnlab.report.page.run import Size
    >>> few, many = Size.of(runs=6, groups=2), Size.of(runs=5000, groups=50)
    >>> (few.heats, few.updates, few.lags), (many.heats, many.updates, many.lags)
    ((6, 83, 111), (2812, 17, 23))
    """

    runs: int
    heats: int
    updates: int
    lags: int
    details: int
    detail_lags: int
    metrics: int

    @classmethod
    def of(cls, runs: int, groups: int) -> Size:
        """Full resolution for few runs; less for more, and heat maps of only some of very many."""
        cells = _HEAT_BYTES / _LETTERS / 2 / max(runs, 1)
        heats = runs if cells >= _SMALLEST_HEAT else max(1, int(runs * cells / _SMALLEST_HEAT))
        cells = max(_SMALLEST_HEAT, min(cells, 96 * 96))
        updates = int(np.sqrt(cells * 0.75))
        details = _DETAIL_BYTES / _LETTERS / 2 / max(runs, 1) / 5
        rows = int(np.clip(details // 48, 2, 8))
        metrics = int(np.clip(_METRICS_BYTES / _LETTERS / 16 / max(runs, 1), 24, 300))
        return cls(runs, heats, updates, int(cells / updates), rows, int(np.clip(details // rows, 24, 160)), metrics)

    def notes(self) -> Iterator[str]:
        """What a reader has to know about it."""
        yield (
            f"curves on this page keep the smallest and the largest value of each of at most 60 stretches; heat maps "
            f"show at most {self.updates} updates and {self.lags} timesteps, evenly chosen. The CSV files have all"
        )
        if self.heats < self.runs:
            yield f"this page has heat maps of {self.heats:,} of the {self.runs:,} runs, to be small enough to mail"

    def has_heat(self, number: int) -> bool:
        """Whether there is room for the heat map of that run; the chosen runs are evenly spaced over the groups."""
        return number % -(-self.runs // self.heats) == 0


@dataclass(frozen=True)
class Reading:
    """The readings of one run for the page; without gradients `updates` is None, and `reason` says why.

    >>> import rnnlab
    >>> from rnnlab.report.page.run import Thinned
    >>> groups = rnnlab.load_runs("runs").group_by("model.cell")
    >>> thinned = Thinned(groups)
    >>> measured = groups.measure(on_readings=thinned.add)
    >>> reading = thinned.readings(measured)[groups.runs[0].path]
    >>> reading.updates.tolist(), sorted(reading.detail[0])
    ([0, 10], ['lags', 'states', 'update', 'values'])
    """

    grid: Grid | None
    """The norms alone by own lag, at the updates of the heat map."""
    by_timestep: Grid | None
    """The norms of the heat map."""
    detail: list[dict[str, Any]]
    """Curves of some updates, encoded for the page."""
    metrics: dict[str, Floats] | None
    reason: str = ""
    metrics_reason: str = ""
    """Why there are no metrics, if there are none."""

    @property
    def updates(self) -> Any:
        return None if self.grid is None else self.grid.updates

    def curve(self, update: int | None) -> Curve:
        """The curve nearest to an update; without one, the last finite curve."""
        assert self.grid is not None
        return self.grid.curve(self.grid.at(update))


class Thinned:
    """The gradients of all runs, each reduced to what the page shows as soon as it is read.

    >>> import rnnlab
    >>> from rnnlab.report.page.run import Thinned
    >>> groups = rnnlab.load_runs("runs").group_by("model.cell")
    >>> thinned = Thinned(groups)
    >>> measured = groups.measure(on_readings=thinned.add)
    >>> len(thinned.readings(measured))
    6
    """

    def __init__(self, groups: Groups) -> None:
        self.size = Size.of(len(groups.runs), len(groups))
        self._kept: dict[Path, tuple[Grid, Grid, list[dict[str, Any]]]] = {}

    def add(self, run: Run, readings: GradientGrids, grid: Grid) -> None:
        """Keep what the page shows of a run (see `measured.OnReadings`)."""
        thin = _thin(grid, self.size)
        others = {name: _thin(readings.grid(name), self.size) for name in readings.cell_states() if name != "h"}
        detail = _detail(thin, others, self.size)
        # Percentiles and the states besides h are drawn in the detail only.
        norms = replace(thin, values={"log10_norm": thin.values["log10_norm"]})
        self._kept[run.path] = norms, _thin(readings.by_timestep(), self.size), detail

    def readings(self, measured: MeasuredGroups) -> dict[Path, Reading]:
        """The readings of all runs, with their metrics, which are read now."""
        runs = measured.groups.runs
        readings = {}
        for run, (metrics, fault) in zip(runs, map_in_threads(_metrics, runs), strict=True):
            grid, by_timestep, detail = self._kept.get(run.path, (None, None, []))
            readings[run.path] = Reading(
                grid, by_timestep, detail, metrics, measured.unreadable.get(run.path, ""), fault
            )
        return readings


def _metrics(run: Run) -> tuple[dict[str, Floats] | None, str]:
    """The metrics that the page shows, or why there are none."""
    try:
        table = metrics_of(run.dir)
    except RunFolderError as error:
        return None, str(error)
    if not len(table):
        return None, "no metrics were recorded"
    return {name: table[name].to_numpy().astype(np.float64) for name in ("update", *_METRICS)}, ""


def _thin(grid: Grid, size: Size) -> Grid:
    """The grid at the updates of the heat map and the last finite one."""
    chosen = np.unique([*evenly(len(grid.updates), size.updates), grid.at()])
    values = {name: each[chosen] for name, each in grid.values.items()}
    return replace(grid, updates=grid.updates[chosen], recorded=grid.recorded[chosen], values=values)


def run_data(
    run: Run, name: str, reading: Reading, group: int, differing: Sequence[str], size: Size, *, heat: bool
) -> dict[str, Any]:
    """The data of a run under a name; `differing` are the settings in which the report's runs differ."""
    data: dict[str, Any] = {
        "name": name,
        "group": group,
        "seed": run.settings["seed"],
        "status": run.status,
        "facts": [[name, str(value)] for name, value in _facts(run, differing)],
        "reason": reading.reason,
        "metrics_reason": reading.metrics_reason,
    }
    if reading.grid is not None:
        if heat and reading.by_timestep is not None:
            data["heat"] = _heat(reading.by_timestep, size)
        data["detail"] = reading.detail
    if reading.metrics is not None:
        data["norms"] = _norms(reading.metrics, size)
    return data


def _facts(run: Run, differing: Sequence[str]) -> Iterator[tuple[str, Any]]:
    info = run.info
    result, verdict, git = (info.get(key) or {} for key in ("result", "verdict", "git"))
    yield "status", run.status + (f": {info['reason']}" if info.get("reason") else "")
    yield "verdict", verdict.get("text") or "none"
    yield "seed", run.settings["seed"]
    for key in differing:
        if run.settings.get(key) is not None:
            yield key, format_setting(run.settings[key])
    for name in ("test_error", "eval_error", "error"):
        if result.get(name) is not None:
            yield name.replace("_", " "), format_number(result[name])
    yield "updates", info.get("updates", "unknown")
    yield "versions", ", ".join(f"{name} {version}" for name, version in (info.get("versions") or {}).items())
    yield "commit", f"{git['commit']}{', with changes' if git.get('dirty') else ''}" if git.get("commit") else "unknown"
    for file in info.get("data") or []:
        yield "data", ", ".join(f"{key} {value}" for key, value in file.items()) if isinstance(file, dict) else file
    yield "on", ", ".join(str(info[key]) for key in ("device", "dtype", "scan") if info.get(key))
    if run.settings.get("notes"):
        yield "notes", run.settings["notes"]
    yield "repeat", repeat_command(run)


def _heat(grid: Grid, size: Size) -> dict[str, Any]:
    lags = evenly(len(grid.lags), size.lags)
    packed = pack_decades(grid.values["log10_norm"][:, lags], grid.recorded[:, lags])
    return {"updates": grid.updates.tolist(), "lags": grid.lags[lags].tolist(), "values": packed}


def _detail(grid: Grid, others: Mapping[str, Grid], size: Size) -> list[dict[str, Any]]:
    """Curves of some updates: total, direct, the 5th and the 95th percentile over samples; then the other states."""
    detail = []
    for row in np.unique([*evenly(len(grid.updates), size.details), grid.at()]):
        lags, total = grid.curve(row)
        places = envelope(total, size.detail_lags)
        names = ("log10_direct", "log10_p05", "log10_p95")
        rows = [total[places], *(grid.curve(row, name)[1][places] for name in names)]
        totals = {name: _total(other, int(grid.updates[row]), lags[places]) for name, other in others.items()}
        there = {name: total for name, total in totals.items() if total is not None}
        detail.append(
            {
                "update": int(grid.updates[row]),
                "lags": lags[places].tolist(),
                "states": [*there],
                "values": pack_decades([*rows, *there.values()]),
            }
        )
    return detail


def _total(grid: Grid, update: int, lags: NDArray[np.int64]) -> Floats | None:
    """The norms at these lags, ascending; None where the update, or one of them, was not recorded of this state."""
    at, same = np.flatnonzero(grid.updates == update), np.isin(grid.lags, lags)
    if not at.size or same.sum() != len(lags):
        return None
    total: Floats = grid.values["log10_norm"][at[0], same]
    return total


def _norms(metrics: dict[str, Floats], size: Size) -> dict[str, Any]:
    """Gradient norms before and after the clip, and whether it acted."""
    places = envelope(np.log10(np.maximum(metrics["grad_norm"], 1e-300)), size.metrics)
    values = {name: pack_floats(metrics[name][places]) for name in _NORMS}
    return {"updates": pack_floats(metrics["update"][places]), **values}
