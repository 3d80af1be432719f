"""Runs in groups of equal settings but for the seed, and what their gradients say, as pandas frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnlab.analysis import Verdict
from rnnlab.cache import at_once
from rnnlab.curves import Measured, MedianCurve, measure_run, median_curve, succeeded
from rnnlab.errors import RunFolderError
from rnnlab.intervals import Interval, mean_interval, wilson
from rnnlab.keys import NOT_IDENTITY, differing_keys, expanded_keys, found_keys, told_apart_by
from rnnlab.runs import Run
from rnnlab.where import plain

if TYPE_CHECKING:
    import pandas as pd

    from rnnlab.collection import Runs

COUNTED = ("completed", "diverged")
"""A run of this status has come to its end, and counts as a success or as none."""


@dataclass
class Group:
    """Runs of equal settings but for the seed: its values of the keys that tell groups apart, and its members."""

    values: dict[str, Any]
    runs: list[Run]
    measured: list[Measured] = field(default_factory=list)
    """Of the runs that recorded a gradient."""
    solved: list[Run] = field(default_factory=list)
    """The runs that succeeded."""

    @property
    def statuses(self) -> Counter[str]:
        return Counter(run.status for run in self.runs)

    @property
    def seeds(self) -> list[int]:
        return sorted({int(run.settings["seed"]) for run in self.runs})

    @property
    def ended(self) -> int:
        return sum(run.status in COUNTED for run in self.runs)

    @property
    def success(self) -> Interval | None:
        """Wilson's interval of the success rate, over runs that have ended."""
        return wilson(len(self.solved), self.ended)

    def each(self, what: str) -> dict[int, float]:
        """By seed, one figure of each run that has it: rate, horizon, effective_lag, error, clip_rate."""
        found = ((one.seed, getattr(one, what)) for one in self.measured)
        return {seed: value for seed, value in found if value is not None}

    @cached_property
    def rate(self) -> Interval | None:
        """Mean decay rate and its t interval, in decades per 100 timesteps."""
        return mean_interval([*self.each("rate").values()])

    def median(self, what: str) -> float | None:
        """The median of a figure over the runs that have it."""
        found = [*self.each(what).values()]
        return float(np.median(found)) if found else None

    @cached_property
    def curve(self) -> MedianCurve | None:
        """The median of log10 |dL/dh_t| by lag, with its band."""
        return median_curve([one.curve for one in self.measured]) if self.measured else None

    @property
    def verdicts(self) -> Counter[str]:
        words = (one.verdict for one in self.measured)
        return Counter(verdict.word for verdict in words if isinstance(verdict, Verdict))


class Groups(Sequence[Group]):
    """Groups of runs, in the order of their values. `by` are the keys asked for, `also` those that differ besides.

    Runs that differ in anything but seed, device, name and notes are never in one group. Of several runs of one
    identity the one that got farthest is taken. Raises UsageError where a key is unknown, or where too many settings
    differ to be compared without being asked to.
    """

    def __init__(self, runs: Runs, by: Sequence[str] = ()) -> None:
        self.names = runs.names
        """The name that each run's folder is shown under, of those that are left out as well."""
        self.unreadable = dict(runs.unreadable)
        readable = self._readable(runs)
        self.repeated = len(readable) - len(kept := _once_each(readable))
        table = [run.settings for run in kept]
        self.differing = differing_keys(table)
        self.by = expanded_keys(by, table, self.differing) if by else found_keys(table, self.differing)
        self.also = told_apart_by(table, self.differing, self.by)[len(self.by) :]
        self.hidden = [key for key in self.differing if key not in (*self.by, *self.also)]
        """Keys that differ only where one of the others does."""
        self._groups = _grouped(kept, [*self.also, *self.by])
        self._measured_at: Any = ()

    def _readable(self, runs: Runs) -> list[Run]:
        kept = []
        for run in runs:
            try:
                int(run.settings["seed"])
                kept.append(run)
            except (RunFolderError, KeyError, TypeError, ValueError) as error:
                reason = str(error) if isinstance(error, RunFolderError) else "its config has no seed"
                self.unreadable[run.path] = reason
        return kept

    @property
    def left_out(self) -> dict[str, str]:
        """The runs of which something could not be read, by the name that they are shown under, with the reason."""
        return {self.names[path]: reason for path, reason in self.unreadable.items()}

    def name_of(self, run: Run) -> str:
        """The name that a run is shown under: with its folder where two runs have one name."""
        return self.names[run.path]

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, index: Any) -> Any:
        return self._groups[index]

    @property
    def runs(self) -> list[Run]:
        """The runs of all groups."""
        return [run for group in self._groups for run in group.runs]

    def measure(self, at: int | None = None, success: str | None = None) -> Groups:
        """Read the runs' gradients at an update (the recorded one nearest to it; the last finite one), once.

        `success` is a rule such as `error < 0.05` on the final validation; without one it is each run's own
        `train.stop`, and `error < 0.01` for a run that has none (the 1% of Pascanu, Mikolov and Bengio 2013).
        """
        if self._measured_at == (at, success):
            return self
        runs = self.runs
        results = dict(zip([run.path for run in runs], at_once(lambda run: measure_run(run, at), runs), strict=True))
        self.unreadable |= {path: result for path, result in results.items() if isinstance(result, str)}
        for group in self._groups:
            of_group = [results[run.path] for run in group.runs]
            group.measured = [result for result in of_group if not isinstance(result, str)]
            group.solved = [run for run in group.runs if succeeded(run, success)]
            # What was worked out from another update.
            for name in ("rate", "curve"):
                group.__dict__.pop(name, None)
        self._measured_at = (at, success)
        return self

    def decay_rates(self, at: int | None = None) -> pd.DataFrame:
        """A row a group: its settings, runs, seeds, the mean decay rate and its t interval, horizon, effective lag.

        Rates in decades per 100 timesteps, lags in timesteps; `low` and `high` are NaN below 3 seeds. The figures are
        of the update nearest to `at`, or of each run's last finite one.
        """
        import pandas as pd

        rows = []
        for group in self.measure(at):
            rate = group.rate or Interval(np.nan, None, None)
            figures = {name: group.median(name) for name in ("horizon", "effective_lag", "error")}
            about = {"runs": len(group.runs), "seeds": len(group.seeds), "rate": rate.middle}
            rows.append(group.values | about | {"low": rate.low, "high": rate.high} | figures)
        columns = [*self.also, *self.by, "runs", "seeds", "rate", "low", "high", "horizon", "effective_lag", "error"]
        frame = pd.DataFrame(rows, columns=columns)
        return frame.astype(dict.fromkeys(columns[-6:], "float64"))

    def success_rates(self, success: str | None = None) -> pd.DataFrame:
        """A row a group: how many of the runs that ended succeeded, the rate, and Wilson's interval."""
        import pandas as pd

        rows = []
        for group in self.measure(success=success):
            rate = group.success or Interval(np.nan, np.nan, np.nan)
            counts = {"ended": group.ended, "successes": len(group.solved)}
            rows.append(group.values | counts | {"rate": rate.middle, "low": rate.low, "high": rate.high})
        return pd.DataFrame(rows, columns=[*self.also, *self.by, "ended", "successes", "rate", "low", "high"])

    def curves(self, at: int | None = None) -> pd.DataFrame:
        """A row a group and lag: median log10 |dL/dh_t|, the t interval of its mean, and over how many runs."""
        import pandas as pd

        frames = []
        for group in self.measure(at):
            if (curve := group.curve) is not None:
                columns = {"lag": curve.lags, "median": curve.median, "low": curve.low, "high": curve.high}
                frame = pd.DataFrame({**columns, "runs": curve.count})
                for place, (key, value) in enumerate(group.values.items()):
                    frame.insert(place, key, [value] * len(frame))
                frames.append(frame)
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def comparisons(self) -> list[tuple[dict[str, Any], list[Group]]]:
        """The groups to be compared with one another: those that differ in `by` alone, with what the rest is."""
        found: dict[tuple[Any, ...], tuple[dict[str, Any], list[Group]]] = {}
        for group in self._groups:
            fixed = {key: group.values[key] for key in self.also}
            found.setdefault(_hashable(fixed.values()), (fixed, []))[1].append(group)
        return list(found.values())


def _hashable(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(plain(value) for value in values)


def _once_each(runs: list[Run]) -> list[Run]:
    """One run of each identity: a completed one before others, a later one before an earlier."""
    best: dict[Any, Run] = {}
    # An older run.json has no identity: then runs of the same settings are the same.
    rank = {"completed": 3, "diverged": 2, "running": 1}
    for run in sorted(runs, key=lambda run: (rank.get(run.status, 0), str(run.info.get("started")))):
        best[run.info.get("identity") or _settings_but_name(run)] = run
    chosen = {id(run) for run in best.values()}
    return [run for run in runs if id(run) in chosen]


def _settings_but_name(run: Run) -> tuple[Any, ...]:
    return tuple(sorted((key, plain(value)) for key, value in run.settings.items() if key not in NOT_IDENTITY))


def _grouped(runs: Iterable[Run], keys: Sequence[str]) -> list[Group]:
    groups: dict[tuple[Any, ...], Group] = {}
    for run in runs:
        values = {key: run.settings.get(key) for key in keys}
        groups.setdefault(_hashable(values.values()), Group(values, [])).runs.append(run)
    return sorted(groups.values(), key=lambda group: [_rank(value) for value in group.values.values()])


def _rank(value: Any) -> tuple[int, float, str]:
    """None first, then numbers by size, then texts."""
    if isinstance(value, (int, float)):
        return 1, float(value), ""
    return (0, 0.0, "") if value is None else (2, 0.0, str(value))
