"""The intervals cover what they say they cover, and equal SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rnnlab.analysis.intervals import mean_interval, paired, wilson

values = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=12)


@given(values, st.sampled_from([0.8, 0.95, 0.99]))
def test_the_t_interval_is_scipys(given_values: list[float], level: float) -> None:
    interval = mean_interval(given_values, level)
    assert interval is not None
    assert interval.low is not None
    assert interval.high is not None
    theirs = stats.t.interval(level, len(given_values) - 1, np.mean(given_values), max(stats.sem(given_values), 1e-300))
    assert (interval.low, interval.high) == pytest.approx(theirs, rel=1e-9, abs=1e-9)
    assert interval.middle == pytest.approx(np.mean(given_values))
    assert interval.values == tuple(given_values)


@given(st.integers(1, 60), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_success_interval_is_scipys(n: int, data: st.DataObject, level: float) -> None:
    k = data.draw(st.integers(0, n))
    interval = wilson(k, n, level)
    assert interval is not None
    theirs = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    assert (interval.low, interval.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9, abs=1e-12)
    assert interval.middle == k / n


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_t_interval_covers_the_mean(seeds: int) -> None:
    """Of 20,000 experiments with normal log10 norms 95% are right; the error of that count is 0.15%."""
    rng = np.random.default_rng(seeds)
    hits = 0
    for sample in rng.normal(-12.0, 3.0, (20_000, seeds)):
        interval = mean_interval(sample)
        assert interval is not None
        assert interval.low is not None
        assert interval.high is not None
        hits += interval.low <= -12.0 <= interval.high
    assert hits / 20_000 == pytest.approx(0.95, abs=4 * 0.0016)


@pytest.mark.parametrize("n", [3, 10, 30])
def test_the_success_interval_covers_the_rate(n: int) -> None:
    """Averaged over all rates it covers 95%, counted exactly; it is nowhere as bad as the normal approximation."""
    intervals = [wilson(k, n) for k in range(n + 1)]
    low = np.array([interval.low for interval in intervals if interval is not None], float)
    high = np.array([interval.high for interval in intervals if interval is not None], float)
    rates = np.linspace(0.005, 0.995, 199)
    chance = stats.binom.pmf(np.arange(n + 1)[:, None], n, rates)
    covered = (chance * ((low[:, None] <= rates) & (rates <= high[:, None]))).sum(0)
    assert covered.mean() == pytest.approx(0.95, abs=0.02)
    assert covered.min() > 0.8


def test_pairing_covers_the_difference_where_seeds_matter() -> None:
    """Seeds that move both groups alike drop out: the interval of the difference is right, and narrow."""
    rng = np.random.default_rng(1)
    hits, apart, overlapping = 0, 0, 0
    for _ in range(4_000):
        seed_effect = rng.normal(0, 5, 6)
        first = dict(enumerate(seed_effect + rng.normal(0, 0.5, 6)))
        second = dict(enumerate(seed_effect + 2.0 + rng.normal(0, 0.5, 6)))
        comparison = paired(first, second)
        assert comparison is not None
        low, high = comparison.difference.low, comparison.difference.high
        assert low is not None
        assert high is not None
        hits += low <= 2.0 <= high
        apart += comparison.excludes_zero
        overlapping += bool(comparison.overlap)
    assert hits / 4_000 == pytest.approx(0.95, abs=4 * 0.0035)
    # What the groups' own intervals could not show.
    assert apart / 4_000 > 0.99
    assert overlapping / 4_000 > 0.9


def test_too_few_seeds_have_no_interval() -> None:
    assert mean_interval([]) is None
    for few in ([1.0], [1.0, 2.0]):
        interval = mean_interval(few)
        assert interval is not None
        assert (interval.low, interval.high, interval.n) == (None, None, len(few))
    assert wilson(0, 0) is None


def test_pairs_say_no_more_than_they_know() -> None:
    assert paired({0: 1.0}, {1: 1.0}) is None
    few = paired({0: 1.0, 1: 2.0}, {0: 3.0, 1: 4.0, 2: 5.0})
    assert few is not None
    assert few.word == "2 shared seeds, too few to say"
    assert not few.excludes_zero
    same = paired(dict(enumerate([1.0, 2.0, 3.0])), dict(enumerate([1.1, 1.8, 3.1])))
    assert same is not None
    assert same.word == "not told apart"
    shifted = paired(dict(enumerate([1.0, 5.0, 9.0])), dict(enumerate([2.0, 6.1, 10.2])))
    assert shifted is not None
    assert shifted.word == "differ, seed by seed; their own intervals overlap"
    assert shifted.effect == pytest.approx(np.mean([1, 1.1, 1.2]) / np.std([1, 1.1, 1.2], ddof=1))
    far = paired(dict(enumerate([1.0, 1.1, 1.2])), dict(enumerate([9.0, 9.2, 9.1])))
    assert far is not None
    assert far.word == "differ"
    alike = paired(dict(enumerate([1.0, 2.0, 3.0])), dict(enumerate([2.0, 3.0, 4.0])))
    assert alike is not None
    assert alike.effect is None
