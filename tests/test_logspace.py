"""Norms of any size: against mpmath and numpy, from 1e-3000 to 1e+3000, with zero, infinity and NaN kept apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mpmath import mp

from rnnlab.logspace import log10_of_squares, log10_percentiles, log10_total, power_of_ten

INF, NAN = math.inf, math.nan
PERCENTS = (5.0, 50.0, 95.0)

unhurried = settings(deadline=None)
mantissas = st.floats(1e-20, 1e20)
exponents = st.integers(-10_000, 10_000)
decades = st.floats(-3000, 3000)


def log10_sum_of_squares(squares: list[mp.mpf]) -> float:
    total = mp.fsum(squares)
    return float(mp.log10(total) / 2) if total else -INF


# log10 of one norm


@unhurried
@given(mantissas, exponents)
def test_the_log10_of_a_norm_is_right_at_any_size(norm: float, exponent: int) -> None:
    found = log10_of_squares(np.array([norm**2]), np.array([exponent]))
    exact = mp.log10(mp.mpf(norm**2)) / 2 + exponent * mp.log10(2)
    assert found == pytest.approx(float(exact), abs=1e-11)


@unhurried
@given(exponents)
def test_what_is_no_ordinary_number_stays_what_it_is(exponent: int) -> None:
    found = log10_of_squares(np.array([0.0, INF, NAN, 1.0]), np.full(4, exponent))
    assert found[0] == -INF
    assert found[1] == INF
    assert math.isnan(found[2])
    assert math.isfinite(found[3])


# log10 of a norm of parts


@unhurried
@given(st.lists(decades | st.just(-INF), min_size=1, max_size=8))
def test_a_total_is_the_root_of_the_sum_of_squares(logs: list[float]) -> None:
    exact = log10_sum_of_squares([mp.mpf(10) ** (2 * mp.mpf(l)) for l in logs if l > -INF])
    assert log10_total(np.array(logs)) == pytest.approx(exact, abs=1e-11)


@unhurried
@given(st.lists(decades | st.sampled_from([-INF, INF, NAN]), min_size=1, max_size=8))
def test_a_total_with_a_broken_part_is_broken(logs: list[float]) -> None:
    found = float(log10_total(np.array(logs)))
    if any(map(math.isnan, logs)):
        assert math.isnan(found)
    elif INF in logs:
        assert found == INF
    else:
        assert found < INF


@unhurried
@given(arrays.arrays(np.float64, (3, 5), elements=st.floats(-100, 100)), st.floats(-2000, 2000))
def test_a_total_moves_with_its_parts(logs: np.ndarray, shift: float) -> None:
    np.testing.assert_allclose(log10_total(logs + shift), log10_total(logs) + shift, atol=1e-11)


def test_totals_of_one_array_do_not_meet() -> None:
    """Rows of every kind and size, side by side and one at a time."""
    rows = np.array(
        [[-3000.0, -2999.0], [3000.0, 2999.0], [-INF, -INF], [-INF, 7.0], [INF, 3000.0], [NAN, 0.0], [0, 0]]
    )
    together = log10_total(rows)
    np.testing.assert_array_equal(together, [log10_total(row) for row in rows])
    np.testing.assert_array_equal(np.isfinite(together), [True, True, False, True, False, False, True])


# percentiles


@unhurried
@given(st.lists(decades, min_size=1, max_size=30), st.lists(st.booleans(), min_size=30, max_size=30))
def test_percentiles_are_numpys_over_the_living(logs: list[float], coins: list[bool]) -> None:
    values, alive = np.array(logs), np.array(coins[: len(logs)])
    alive[0] = True
    found = log10_percentiles(values, alive, PERCENTS)
    np.testing.assert_allclose(found, np.percentile(values[alive], PERCENTS), atol=1e-11)


@unhurried
@given(st.lists(decades | st.just(-INF), min_size=1, max_size=20))
def test_a_percentile_on_a_zero_or_beside_one_is_zero(logs: list[float]) -> None:
    found = log10_percentiles(np.array(logs), np.ones(len(logs), bool), PERCENTS)
    ordered = sorted(logs)
    for percent, value in zip(PERCENTS, found, strict=True):
        place = percent / 100 * (len(logs) - 1)
        low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
        if low == -INF:
            assert value == -INF
        else:
            assert low - 1e-9 <= value <= high + 1e-9


def test_percentiles_of_what_is_not_finite() -> None:
    logs = np.array([[NAN, 0.0, 1.0], [INF, INF, INF], [-INF, INF, INF], [NAN, 2.0, NAN], [0.0, 0.0, 0.0]])
    alive = np.array([[1, 1, 1], [1, 1, 1], [1, 1, 1], [0, 1, 0], [0, 0, 0]], bool)
    found = log10_percentiles(logs, alive, PERCENTS)
    np.testing.assert_array_equal(found[:, 0], [NAN] * 3)  # one living NaN spoils them all
    np.testing.assert_array_equal(found[:, 1], [INF] * 3)
    np.testing.assert_array_equal(found[:, 2], [-INF, INF, INF])
    np.testing.assert_array_equal(found[:, 3], [2.0] * 3)  # a dead one spoils nothing
    np.testing.assert_array_equal(found[:, 4], [NAN] * 3)  # nothing is alive


def test_percentiles_keep_the_axes_before_the_last() -> None:
    logs = np.random.default_rng(0).normal(size=(2, 7, 11))
    found = log10_percentiles(logs, np.ones(logs.shape, bool), PERCENTS)
    np.testing.assert_allclose(found, np.percentile(logs, PERCENTS, axis=-1), atol=1e-12)


def test_a_power_of_ten_leaves_float64_quietly() -> None:
    np.testing.assert_array_equal(power_of_ten(np.array([-3000.0, -INF, 0.0, 3000.0, INF])), [0, 0, 1, INF, INF])
    assert math.isnan(power_of_ten(np.array(NAN)))
