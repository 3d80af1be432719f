"""One run's gradient at one update, in figures, and the median of several runs' curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.analysis.curve import effective_lag
from rnnlab.analysis.intervals import FEWEST_SEEDS, half_width
from rnnlab.analysis.verdict import Verdict, verdict_of
from rnnlab.errors import RunFolderError, UsageError
from rnnlab.runs.grids import Floats, GradientGrids, Grid
from rnnlab.runs.readers import metrics_of
from rnnlab.runs.run import Run

Curve = tuple[NDArray[np.int64], Floats]
OnReadings = Callable[[Run, GradientGrids, Grid], None]
"""Called with a run, its readings and the grid of its top layer's h while they are in memory, in any thread."""
SUCCESS = "error < 0.01"
_UNDERFLOW = -1e300


@dataclass(frozen=True)
class Measured:
    """The figures of one run's gradient at one update.

    >>> import rnnlab
    >>> from rnnlab.compare.measured import measure_run
    >>> measured = measure_run(rnnlab.Run("runs/rnn-T40-s0"), at=0)
    >>> measured.verdict.word, round(measured.rate, 2), round(measured.horizon, 1)
    ('vanishing', -15.0, 13.3)
    """

    run: Run
    seed: int
    update: int
    verdict: Verdict
    curve: Curve = field(compare=False)
    rate: float | None
    horizon: float | None
    """inf where the gradient does not fall to 1% within the lags that were recorded."""
    effective_lag: float | None
    error: float | None
    """On the test split, or the validation split where there is none; None for a run that did not complete."""
    clip_rate: float | None
    samples: Floats | None = field(default=None, compare=False)
    """How many samples of the batch have each lag of the curve; NaN where the file does not say."""


def measure_run(run: Run, at: int | None = None, on_readings: OnReadings | None = None) -> Measured | str:
    """The figures of a run at its recorded update nearest to `at` (the last finite one), or why there are none."""
    try:
        readings = GradientGrids(run.dir)
        grid = readings.grid()
    except (RunFolderError, UsageError) as error:
        return str(error)
    if on_readings is not None:
        on_readings(run, readings, grid)
    return measured(run, grid, grid.at(at))


def gradients_fault(run: Run) -> str:
    """Why the gradients of a run cannot be measured; empty where they can."""
    try:
        GradientGrids(run.dir).grid()
    except (RunFolderError, UsageError) as error:
        return str(error)
    return ""


def metrics_fault(run: Run) -> str:
    """Why the metrics.csv of a run cannot be read; empty where it can."""
    try:
        metrics_of(run.dir)
    except RunFolderError as error:
        return str(error)
    return ""


def measured(run: Run, grid: Grid, row: int) -> Measured:
    """The figures of a run at one row of its grid."""
    (lags, norms), verdict = grid.curve(row), verdict_at(grid, row)
    known = verdict.is_of_recurrence and not verdict.nonfinite and np.isfinite(norms).any()
    beyond = math.inf if verdict.horizon is None and known else None
    result = run.info.get("result") or {}
    ended = run.status == "completed"
    return Measured(
        run=run,
        seed=int(run.settings["seed"]),
        update=int(grid.updates[row]),
        verdict=verdict,
        curve=(lags, norms),
        rate=verdict.fit.rate if verdict.fit else None,
        horizon=beyond if verdict.horizon is None else verdict.horizon,
        effective_lag=effective_lag(lags, norms) if verdict.is_of_recurrence else None,
        error=final_error(result) if ended else None,
        clip_rate=number(result.get("clip_rate")),
        samples=None if grid.samples is None else grid.samples[row][grid.recorded[row]],
    )


def verdict_at(grid: Grid, row: int) -> Verdict:
    """What one row of a grid says."""
    lags, norms = grid.curve(row)
    others = (grid.curve(row, name)[1] for name in ("log10_direct", "log10_median"))
    return verdict_of(lags, norms, *others, own_lags=grid.own_lags)


def number(value: Any) -> float | None:
    """A number of run.json, where a number that is not finite is written as text; None where it is missing."""
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def final_error(result: dict[str, Any]) -> float | None:
    """The error on the test split, or on the validation split where there is none; None where neither was evaluated."""
    errors = (number(result.get(name)) for name in ("test_error", "eval_error"))
    return next((value for value in errors if value is not None), None)


def succeeded(run: Run, rule: str | None = None) -> bool:
    """Whether a run's final validation fulfils the rule, or its own stop rule, or SUCCESS where it has none."""
    from rnnlab.config.stop import stop_rule

    result = run.info.get("result") or {}
    loss, error = number(result.get("eval_loss")), number(result.get("eval_error"))
    if run.status != "completed" or loss is None or error is None:
        return False
    return stop_rule(rule or run.settings.get("train.stop") or SUCCESS).met(loss, error)


@dataclass(frozen=True)
class MedianCurve:
    """By lag: the median over runs, the t interval of the mean, and the number of runs.

    The median has sentinel values: -inf zero, inf not finite, NaN underflow. The interval is NaN where
    fewer than 3 runs, or not all of them, have a finite point.

    >>> import numpy as np
    >>> from rnnlab.compare.measured import median_curve
    >>> curves = [(np.array([0, 1]), np.array([0.0, slope])) for slope in (-0.1, -0.2, -0.3)]
    >>> curve = median_curve(curves)
    >>> curve.median.tolist(), curve.count.tolist()
    ([0.0, -0.2], [3, 3])
    """

    lags: NDArray[np.int64]
    median: Floats
    low: Floats
    high: Floats
    count: NDArray[np.int64]


def median_curve(curves: Sequence[Curve]) -> MedianCurve:
    """The median of log10 norms over runs, lag by lag; zero is less than underflow, and that less than any number."""
    lags = np.unique(np.concatenate([lag for lag, _ in curves]))
    values, recorded = np.zeros((len(curves), len(lags))), np.zeros((len(curves), len(lags)), bool)
    for row, (lag, norm) in enumerate(curves):
        at = np.searchsorted(lags, lag)
        values[row, at], recorded[row, at] = np.where(np.isnan(norm), _UNDERFLOW, norm), True
    median = np.empty(len(lags))
    band = np.full((2, len(lags)), np.nan)
    # Almost always all runs have all lags, and there is one pattern.
    for pattern in np.unique(recorded, axis=1).T:
        at = np.flatnonzero((recorded == pattern[:, None]).all(0))
        chosen = values[np.ix_(pattern, at)]
        median[at] = _middle(chosen)
        all_finite = at[(np.isfinite(chosen) & (chosen > _UNDERFLOW)).all(0)]
        if pattern.sum() >= FEWEST_SEEDS and all_finite.size:
            finite = values[np.ix_(pattern, all_finite)]
            half = half_width(finite)
            band[:, all_finite] = finite.mean(0) - half, finite.mean(0) + half
    return MedianCurve(lags, median, band[0], band[1], recorded.sum(0))


def _middle(values: Floats) -> Floats:
    ordered = np.sort(values, axis=0)
    n = len(ordered)
    low, high = ordered[(n - 1) // 2], ordered[n // 2]
    with np.errstate(invalid="ignore"):
        middle = np.where(low == high, low, (low + high) / 2)
    # Between two sentinel values, or a sentinel value and a number, the median is the lower of them.
    middle = np.where(np.isfinite(low) & np.isfinite(high) & (low > _UNDERFLOW), middle, low)
    return np.where(middle == _UNDERFLOW, np.nan, middle)
