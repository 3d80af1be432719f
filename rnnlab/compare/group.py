"""One group: runs whose settings are equal except for the seed, and the figures of their gradients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rnnlab.analysis.intervals import Interval, mean_interval, wilson
from rnnlab.compare.conditions import plain
from rnnlab.compare.measured import Measured, MedianCurve, median_curve, succeeded
from rnnlab.compare.theory_lines import Slopes, TheoryLine, slopes_of, theory_lines
from rnnlab.runs.run import Run
from rnnlab.runs.run_json import ENDED


@dataclass(frozen=True)
class Group:
    """Runs whose settings are equal except for the seed, and the values of the keys that distinguish the groups.

    >>> import rnnlab
    >>> group = rnnlab.load_runs("runs").group_by("model.cell")[0]
    >>> dict(group.values), group.seeds, dict(group.statuses)
    ({'model.cell': 'lstm'}, [0, 1, 2], {'completed': 3})
    """

    values: Mapping[str, Any]
    runs: tuple[Run, ...]

    @property
    def statuses(self) -> Counter[str]:
        return Counter(run.status for run in self.runs)

    @property
    def seeds(self) -> list[int]:
        return sorted({int(run.settings["seed"]) for run in self.runs})

    @property
    def ended(self) -> int:
        return sum(run.status in ENDED for run in self.runs)

    def solved(self, rule: str | None = None) -> tuple[Run, ...]:
        """The runs that succeeded by the rule, or by their own (see `measured.succeeded`)."""
        return tuple(run for run in self.runs if succeeded(run, rule))


@dataclass(frozen=True)
class MeasuredGroup:
    """A group with the readings of its runs at one update, and the figures over its seeds.

    >>> import rnnlab
    >>> group = rnnlab.load_runs("runs").group_by("model.cell").measure()[1]
    >>> round(group.rate.middle, 2), round(group.median("horizon"), 1), dict(group.verdicts)
    (-14.9, 13.4, {'vanishing': 3})
    """

    group: Group
    measured: tuple[Measured, ...]
    """The readings of the runs that recorded a gradient."""
    solved: tuple[Run, ...]
    """The runs that succeeded."""

    @property
    def values(self) -> Mapping[str, Any]:
        return self.group.values

    @property
    def runs(self) -> tuple[Run, ...]:
        return self.group.runs

    @property
    def statuses(self) -> Counter[str]:
        return self.group.statuses

    @property
    def seeds(self) -> list[int]:
        return self.group.seeds

    @property
    def ended(self) -> int:
        return self.group.ended

    @property
    def success(self) -> Interval | None:
        """Wilson's interval of the success rate, over runs that have ended."""
        return wilson(len(self.solved), self.ended)

    def each(self, figure: str) -> dict[int, float]:
        """One figure by seed, for the runs that have it: rate, horizon, effective_lag, error or clip_rate."""
        values = ((reading.seed, getattr(reading, figure)) for reading in self.measured)
        return {seed: value for seed, value in values if value is not None}

    @cached_property
    def rate(self) -> Interval | None:
        """Mean decay rate and its t interval, in decades per 100 timesteps."""
        return mean_interval([*self.each("rate").values()])

    def median(self, figure: str) -> float | None:
        """The median of a figure over the runs that have it."""
        values = [*self.each(figure).values()]
        return float(np.median(values)) if values else None

    @cached_property
    def curve(self) -> MedianCurve | None:
        """The median of log10 |dL/dh_t| by lag, with the interval of the mean."""
        return median_curve([reading.curve for reading in self.measured]) if self.measured else None

    @cached_property
    def samples(self) -> NDArray[np.float64]:
        """At each lag of the curve the fewest samples that a run's norm there is of; NaN where no file says."""
        lags = self.curve.lags if self.curve else np.zeros(0, np.int64)
        fewest = np.full(len(lags), np.nan)
        for reading in self.measured:
            if reading.samples is not None:
                at = np.searchsorted(lags, reading.curve[0])
                fewest[at] = np.fmin(fewest[at], reading.samples)
        return fewest

    @cached_property
    def theory(self) -> tuple[TheoryLine, ...]:
        """What theory says of that curve, where the probe `theory` was among the probes of all runs."""
        return self.theory_at(max((reading.update for reading in self.measured), default=None))

    def theory_at(self, update: int | None) -> tuple[TheoryLine, ...]:
        """What theory says at the update nearest to this one, or the last one."""
        return theory_lines(self._slopes, update)

    @cached_property
    def _slopes(self) -> list[Slopes]:
        return [slopes_of(reading.run) for reading in self.measured]

    @property
    def verdicts(self) -> Counter[str]:
        return Counter(reading.verdict.word for reading in self.measured)


G = TypeVar("G", Group, MeasuredGroup)


def grouped(runs: Iterable[Run], keys: Sequence[str]) -> tuple[Group, ...]:
    """The runs in groups of equal values of these keys, in the order of their values."""
    members: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        members.setdefault(_hashable(run.settings.get(key) for key in keys), []).append(run)
    groups = [Group({key: of[0].settings.get(key) for key in keys}, tuple(of)) for of in members.values()]
    return tuple(sorted(groups, key=lambda group: [_rank(value) for value in group.values.values()]))


def comparisons(groups: Iterable[G], also: Sequence[str]) -> list[tuple[dict[str, Any], list[G]]]:
    """The groups in lists of equal values of the keys `also`, each list with those values."""
    alike: dict[tuple[Any, ...], tuple[dict[str, Any], list[G]]] = {}
    for group in groups:
        fixed = {key: group.values[key] for key in also}
        alike.setdefault(_hashable(fixed.values()), (fixed, []))[1].append(group)
    return list(alike.values())


def _hashable(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(plain(value) for value in values)


def _rank(value: Any) -> tuple[int, float, str]:
    """None first, then numbers by size, then texts."""
    if isinstance(value, (int, float)):
        return 1, float(value), ""
    return (0, 0.0, "") if value is None else (2, 0.0, str(value))
