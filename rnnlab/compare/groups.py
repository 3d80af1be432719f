"""Runs in groups of equal settings except for the seed, and the figures of their gradients as pandas frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from rnnlab.analysis.intervals import Interval, wilson
from rnnlab.compare.axes import Axis, axes_of, with_names, with_options
from rnnlab.compare.group import Group, MeasuredGroup, comparisons, grouped
from rnnlab.compare.group_keys import differing_keys, distinguishing_keys, expanded_keys, with_needed_keys
from rnnlab.compare.measured import Measured, OnReadings, measure_run, metrics_fault
from rnnlab.compare.repetitions import without_repetitions
from rnnlab.compare.run_names import run_names
from rnnlab.display import InNotebook
from rnnlab.errors import RunFolderError
from rnnlab.runs.cache import map_in_threads
from rnnlab.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Groups(InNotebook, Sequence[Group]):
    """Groups of runs, in the order of their values. `by` are the keys to compare, `also` the others that differ.

    Runs that differ in anything but seed, device, name and notes are never in one group. Of several runs of one
    identity the most complete one whose rows can be read is used, and `repeated` counts the others.

    >>> import rnnlab
    >>> groups = rnnlab.load_runs("runs").group_by("model.cell")
    >>> [(group.values["model.cell"], group.seeds) for group in groups]
    [('lstm', [0, 1, 2]), ('rnn', [0, 1, 2])]
    >>> groups.decay_rates(at=0)[["model.cell", "rate"]].round(1).values.tolist()
    [['lstm', -1.9], ['rnn', -14.9]]
    """

    groups: tuple[Group, ...]
    by: tuple[str, ...]
    also: tuple[str, ...]
    hidden: tuple[str, ...]
    """Keys that differ only where one of the others does."""
    differing: tuple[str, ...]
    """All keys in which the runs differ."""
    repeated: int
    names: Mapping[Path, str]
    """The name that each run's folder is shown under, including those that are left out."""
    unreadable: Mapping[Path, str]
    """The folders of which something could not be read, each with the reason."""
    _readings: dict[int | None, dict[Path, Measured | str]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """By update, the readings of each run: read once, and not again when a run goes on."""

    @classmethod
    def of(cls, runs: Iterable[Run], by: Sequence[str] = (), unreadable: Mapping[Path, str] | None = None) -> Groups:
        """The runs in groups, compared by these keys, or by as few keys as distinguish the groups.

        Raises UsageError where a key is unknown, or where no keys are given and too many settings differ.
        """
        given = list(runs)
        readable, without_seed = _with_seed(given)
        left_out = {**(unreadable or {}), **without_seed}
        kept, replaced = without_repetitions(readable)
        names = run_names([*(run.path for run in given), *left_out])
        left_out |= {
            path: f"{other.fault}; {names[other.by.path]}, of the same settings and seed, counts in its place"
            for path, other in replaced.items()
        }
        table = [run.settings for run in kept]
        differing = differing_keys(table)
        keys = with_names(expanded_keys(by, table, differing) if by else distinguishing_keys(table, differing), table)
        also = with_names(with_needed_keys(table, differing, keys)[len(keys) :], table)
        keys, also = (with_options(chosen, table, differing) for chosen in (keys, also))
        return cls(
            groups=grouped(kept, [*also, *keys]),
            by=tuple(keys),
            also=tuple(also),
            hidden=tuple(key for key in differing if key not in (*keys, *also)),
            differing=tuple(differing),
            repeated=len(readable) - len(kept) - len(replaced),
            names=names,
            unreadable=left_out,
        )

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes that are compared: the keys `by`, with a part and the options that not every part has as one."""
        return axes_of(self.by, (group.values for group in self.groups))

    @property
    def also_axes(self) -> tuple[Axis, ...]:
        """The axes of the other keys that differ."""
        return axes_of(self.also, (group.values for group in self.groups))

    def __len__(self) -> int:
        return len(self.groups)

    @overload
    def __getitem__(self, index: int) -> Group: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Group, ...]: ...
    def __getitem__(self, index: int | slice) -> Group | tuple[Group, ...]:
        return self.groups[index]

    @property
    def runs(self) -> list[Run]:
        """The runs of all groups."""
        return [run for group in self.groups for run in group.runs]

    @property
    def left_out(self) -> dict[str, str]:
        """The runs of which something could not be read, by the name that they are shown under, with the reason."""
        return {self.names[path]: reason for path, reason in self.unreadable.items()}

    def name_of(self, run: Run) -> str:
        """The name that a run is shown under: with its folder where two runs have one name."""
        return self.names[run.path]

    def measure(
        self, at: int | None = None, success: str | None = None, on_readings: OnReadings | None = None
    ) -> MeasuredGroups:
        """The groups with their runs' gradients at an update: the recorded one nearest to it, or the last finite one.

        `success` is a rule such as `error < 0.05` on the final validation; without one it is each run's own
        `train.stop`, and `error < 0.01` for a run that has none (the 1% of Pascanu, Mikolov and Bengio 2013).
        `on_readings` is for a caller that needs more of the readings than these figures: they are read once for both.
        """
        if at not in self._readings or on_readings is not None:
            read = map_in_threads(lambda run: measure_run(run, at, on_readings), self.runs)
            self._readings[at] = dict(zip([run.path for run in self.runs], read, strict=True))
        results = self._readings[at]
        unmeasured = {path: result for path, result in results.items() if isinstance(result, str)}
        members = []
        for group in self.groups:
            group_results = [results[run.path] for run in group.runs]
            readings = tuple(result for result in group_results if not isinstance(result, str))
            members.append(MeasuredGroup(group, readings, group.solved(success)))
        return MeasuredGroups(self, tuple(members), at, success, {**self.unreadable, **unmeasured})

    @cached_property
    def metrics_faults(self) -> dict[str, str]:
        """The runs whose metrics.csv is missing, broken or changed, by the name they are shown under, and why."""
        faults = zip(self.runs, map_in_threads(metrics_fault, self.runs), strict=True)
        return {self.name_of(run): fault for run, fault in faults if fault}

    def decay_rates(self, at: int | None = None) -> pd.DataFrame:
        """A row a group: see MeasuredGroups.decay_rates. Read at the update nearest to `at`, or the last finite one."""
        return self.measure(at).decay_rates()

    def curves(self, at: int | None = None) -> pd.DataFrame:
        """A row a group and lag: see MeasuredGroups.curves. Read at the update nearest to `at`, or the last finite."""
        return self.measure(at).curves()

    def success_rates(self, success: str | None = None) -> pd.DataFrame:
        """A row a group: how many of the ended runs succeeded, the rate, and Wilson's interval."""
        import pandas as pd

        rows = []
        for group in self.groups:
            solved = len(group.solved(success))
            rate = wilson(solved, group.ended) or Interval(np.nan, np.nan, np.nan)
            counts = {"ended": group.ended, "successes": solved}
            rows.append({**group.values, **counts, "rate": rate.middle, "low": rate.low, "high": rate.high})
        return pd.DataFrame(rows, columns=[*self.also, *self.by, "ended", "successes", "rate", "low", "high"])

    def comparisons(self) -> list[tuple[dict[str, Any], list[Group]]]:
        """The groups in lists of those that differ only in `by`, each list with its values of `also`."""
        return comparisons(self.groups, self.also)


@dataclass(frozen=True)
class MeasuredGroups(InNotebook, Sequence[MeasuredGroup]):
    """Groups with the figures of their runs' gradients at one update, as `Groups.measure` gives them.

    >>> import rnnlab
    >>> measured = rnnlab.load_runs("runs").group_by("model.cell").measure(at=0)
    >>> measured.curves()[["model.cell", "lag", "median"]].head(2).round(3).values.tolist()
    [['lstm', 0, 0.0], ['lstm', 1, -0.019]]
    """

    groups: Groups
    members: tuple[MeasuredGroup, ...]
    at: int | None
    success: str | None
    unreadable: Mapping[Path, str]
    """The folders of which something could not be read, each with the reason."""

    def __len__(self) -> int:
        return len(self.members)

    @overload
    def __getitem__(self, index: int) -> MeasuredGroup: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[MeasuredGroup, ...]: ...
    def __getitem__(self, index: int | slice) -> MeasuredGroup | tuple[MeasuredGroup, ...]:
        return self.members[index]

    @property
    def left_out(self) -> dict[str, str]:
        """The runs of which something could not be read, by the name that they are shown under, with the reason."""
        return {self.groups.names[path]: reason for path, reason in self.unreadable.items()}

    def decay_rates(self) -> pd.DataFrame:
        """A row a group: its settings, runs, seeds, the mean decay rate and its t interval, horizon, effective lag.

        Rates in decades per 100 timesteps, lags in timesteps; `low` and `high` are NaN below 3 seeds.
        """
        import pandas as pd

        rows = []
        for group in self.members:
            rate = group.rate or Interval(np.nan, None, None)
            medians = {name: group.median(name) for name in ("horizon", "effective_lag", "error")}
            counts = {"runs": len(group.runs), "seeds": len(group.seeds), "rate": rate.middle}
            rows.append({**group.values, **counts, "low": rate.low, "high": rate.high, **medians})
        figures = ["rate", "low", "high", "horizon", "effective_lag", "error"]
        frame = pd.DataFrame(rows, columns=[*self.groups.also, *self.groups.by, "runs", "seeds", *figures])
        return frame.astype(dict.fromkeys(figures, "float64"))

    def curves(self) -> pd.DataFrame:
        """A row a group and lag: median log10 |dL/dh_t|, the t interval of its mean, and the number of runs.

        samples: the fewest that a run's norm at that lag is of. In ragged sequences the longest lags are of few.
        """
        import pandas as pd

        frames = []
        for group in self.members:
            if (curve := group.curve) is not None:
                columns = {"lag": curve.lags, "median": curve.median, "low": curve.low, "high": curve.high}
                frame = pd.DataFrame({**columns, "runs": curve.count, "samples": group.samples})
                for position, (key, value) in enumerate(group.values.items()):
                    frame.insert(position, key, [value] * len(frame))
                frames.append(frame)
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def comparisons(self) -> list[tuple[dict[str, Any], list[MeasuredGroup]]]:
        """The groups in lists of those that differ only in `by`, each list with its values of `also`."""
        return comparisons(self.members, self.groups.also)


def _with_seed(runs: Iterable[Run]) -> tuple[list[Run], dict[Path, str]]:
    """The runs whose config can be read and has a seed, and why the others are left out."""
    kept, left_out = [], {}
    for run in runs:
        try:
            int(run.settings["seed"])
            kept.append(run)
        except (RunFolderError, KeyError, TypeError, ValueError) as error:
            left_out[run.path] = str(error) if isinstance(error, RunFolderError) else "its config has no seed"
    return kept, left_out
