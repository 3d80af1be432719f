"""Intervals over seeds: Student's t for means, Wilson's for rates, and paired differences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEWEST_SEEDS = 3
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean or a rate with its interval; `low` and `high` are None where there are too few values for one.

    >>> from rnnlab.analysis.intervals import mean_interval
    >>> interval = mean_interval([1.0, 2.0, 3.0])
    >>> f"{interval.middle:.2f} from {interval.low:.2f} to {interval.high:.2f}"
    '2.00 from -0.48 to 4.48'
    """

    middle: float
    low: float | None
    high: float | None
    values: tuple[float, ...] = ()
    """The values that the mean is taken over; none for a success rate."""

    @property
    def n(self) -> int:
        return len(self.values)


def mean_interval(values: ArrayLike, level: float = LEVEL) -> Interval | None:
    """Mean and Student's t interval: mean -+ t_{n-1} s / sqrt(n), s^2 = SSE / (n-1).

    Covers the mean of normal values with probability `level` (Student 1908). Below 3 values there is no interval, and
    None without any.
    """
    x = np.asarray(values, np.float64)
    if not x.size:
        return None
    half = float(half_width(x, level)) if x.size >= FEWEST_SEEDS else None
    middle = float(x.mean())
    low, high = (None, None) if half is None else (middle - half, middle + half)
    return Interval(middle, low, high, tuple(x.tolist()))


def half_width(values: NDArray[np.float64], level: float = LEVEL) -> Any:
    """Half the width of the t interval along the first axis."""
    from scipy.special import stdtrit

    n = len(values)
    return stdtrit(n - 1, (1 + level) / 2) * values.std(0, ddof=1) / math.sqrt(n)


def wilson(successes: int, n: int, level: float = LEVEL) -> Interval | None:
    """Success rate with Wilson's score interval; None where n is 0.

    With p = k/n and the normal quantile z: (p + z²/2n -+ z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n). It stays in [0, 1]
    and has a width even where all runs succeed (Wilson 1927; Brown, Cai and DasGupta 2001).
    """
    from scipy.special import ndtri

    if not n:
        return None
    p, z = successes / n, float(ndtri((1 + level) / 2))
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    # At the ends the formula is 0 and 1 exactly, but for rounding.
    return Interval(p, 0.0 if not successes else low, 1.0 if successes == n else high)


@dataclass(frozen=True)
class Paired:
    """The difference of two groups over the seeds that they share: second less first.

    >>> from rnnlab.analysis.intervals import paired
    >>> comparison = paired({0: 1.0, 1: 2.0, 2: 3.0}, {0: 1.4, 1: 2.5, 2: 3.6})
    >>> comparison.excludes_zero, comparison.word
    (True, 'differ, seed by seed; their own intervals overlap')
    """

    seeds: tuple[int, ...]
    difference: Interval
    effect: float | None
    """Cohen's d_z: mean difference over its standard deviation; None where it is not defined."""
    overlap: bool | None
    """Whether the groups' own intervals overlap; None where one of them has none."""

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval of the difference."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and not low <= 0 <= high

    @property
    def word(self) -> str:
        """What follows from the intervals, in words."""
        if self.difference.low is None:
            return f"{len(self.seeds)} shared seeds, too few to say"
        if not self.excludes_zero:
            return "not told apart"
        return "differ, seed by seed; their own intervals overlap" if self.overlap else "differ"


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> Paired | None:
    """Compare two groups by the values they have for the same seeds; None where they share none.

    d_i = second_i - first_i, its mean with a t interval, and d_z = mean(d) / s(d) (Cohen 1988; Lakens 2013).
    """
    seeds = tuple(sorted(first.keys() & second.keys()))
    difference = mean_interval([second[seed] - first[seed] for seed in seeds])
    if difference is None:
        return None
    spread = float(np.std(difference.values, ddof=1)) if len(seeds) >= FEWEST_SEEDS else 0.0
    effect = difference.middle / spread if spread > 0 else None
    return Paired(
        seeds, difference, effect, _overlap(mean_interval([*first.values()]), mean_interval([*second.values()]))
    )


def _overlap(first: Interval | None, second: Interval | None) -> bool | None:
    if first is None or first.low is None or first.high is None:
        return None
    if second is None or second.low is None or second.high is None:
        return None
    return first.low <= second.high and second.low <= first.high
