"""The data behind each figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnlab.compare.group import MeasuredGroup
from rnnlab.compare.groups import Groups
from rnnlab.runs.grids import GradientGrids

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class HeatMap:
    """One run's log10 norms by update and lag.

    >>> import rnnlab
    >>> from rnnlab.report.figures.data import HeatMap
    >>> groups = rnnlab.load_runs("runs").group_by("model.cell")
    >>> heat = HeatMap.of(groups, groups.measure()[0])
    >>> heat.run, heat.updates.tolist(), heat.values.shape
    ('lstm-T40-s1', [0, 10], (2, 40))
    """

    run: str
    updates: Any
    lags: Any
    values: Any

    @classmethod
    def of(cls, groups: Groups, group: MeasuredGroup) -> HeatMap | None:
        """The heat map of the group's run whose rate is nearest to the mean."""
        if not group.measured:
            return None
        middle = group.rate.middle if group.rate else 0.0
        chosen = min(group.measured, key=lambda run: abs((np.inf if run.rate is None else run.rate) - middle))
        grid = GradientGrids(chosen.run.dir).grid()
        values = np.where(grid.recorded & np.isfinite(grid.values["log10_norm"]), grid.values["log10_norm"], np.nan)
        return cls(groups.name_of(chosen.run), grid.updates, grid.lags, values)


def curve_data(groups: Sequence[MeasuredGroup]) -> pd.DataFrame:
    """Median and band by lag, of how many runs and samples, and a column for each line of theory that a group has."""
    theories = list(dict.fromkeys(line.name for group in groups for line in group.theory))

    def rows(group: MeasuredGroup) -> Any:
        curve = group.curve
        assert curve is not None
        columns = {"lag": curve.lags, "median": curve.median, "low": curve.low, "high": curve.high}
        lines = {line.name: line.beside(curve) for line in group.theory}
        counts = {"runs": curve.count, "samples": group.samples}
        return columns | counts | {name: lines.get(name, np.nan) for name in theories}

    return _stacked(groups, rows)


def rate_data(groups: Sequence[MeasuredGroup]) -> pd.DataFrame:
    """Each seed with its rate, and the mean with its interval."""

    def rows(group: MeasuredGroup) -> Any:
        each, rate = group.each("rate"), group.rate
        assert rate is not None
        ends = {"mean": rate.middle, "low": rate.low, "high": rate.high}
        return {"seed": list(each), "rate": list(each.values())} | {
            name: [end] * len(each) for name, end in ends.items()
        }

    return _stacked(groups, rows)


def success_data(groups: Sequence[MeasuredGroup]) -> pd.DataFrame:
    """Counts, and the rate with its interval."""

    def rows(group: MeasuredGroup) -> Any:
        rate = group.success
        assert rate is not None
        ends = {"rate": [rate.middle], "low": [rate.low], "high": [rate.high]}
        return {"successes": [len(group.solved)], "ended": [group.ended]} | ends

    return _stacked(groups, rows)


def heat_data(heats: Sequence[HeatMap]) -> pd.DataFrame:
    """The readings of the runs that are shown."""
    import pandas as pd

    frames = []
    for heat in heats:
        updates, lags = np.meshgrid(heat.updates, heat.lags, indexing="ij")
        columns = {"run": heat.run, "update": updates.ravel(), "lag": lags.ravel(), "log10_norm": heat.values.ravel()}
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def labelled(frame: pd.DataFrame, labels: Mapping[str, Any]) -> pd.DataFrame:
    """The frame with these values, the same in each row, as its first columns."""
    for position, (key, value) in enumerate(labels.items()):
        frame.insert(position, key, [value] * len(frame))
    return frame


def _stacked(groups: Sequence[MeasuredGroup], rows: Callable[[MeasuredGroup], Any]) -> pd.DataFrame:
    """The rows of all groups in one frame, with the groups' settings as the first columns."""
    import pandas as pd

    return pd.concat([labelled(pd.DataFrame(rows(group)), group.values) for group in groups], ignore_index=True)
