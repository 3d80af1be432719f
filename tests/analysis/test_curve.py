"""Closed forms of the rate and the horizon."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rnnlab.analysis.curve import FEWEST_POINTS, fit, horizon

LAG = np.arange(100)
ZERO, UNDERFLOW, NONFINITE = -np.inf, np.nan, np.inf

rho = st.floats(0.01, 3.0).filter(lambda value: abs(math.log10(value)) > 1e-4)


@given(rho=rho, start=st.floats(-300, 300), stride=st.integers(1, 9))
def test_the_rate_of_an_exponential_is_its_own_whatever_the_stride(rho: float, start: float, stride: int) -> None:
    line = fit(LAG[::stride], start + LAG[::stride] * math.log10(rho))
    assert line is not None
    assert line.rate == pytest.approx(100 * math.log10(rho), rel=1e-6, abs=1e-9)
    assert line.nats == pytest.approx(math.log(rho), rel=1e-6, abs=1e-9)
    assert line.r2 == pytest.approx(1, abs=1e-6)
    assert line.margin == pytest.approx(0, abs=1e-4 / np.ptp(LAG[::stride]) * 1.01)
    assert (line.window, line.points) == ((0, LAG[::stride][-1]), len(LAG[::stride]))


@given(seed=st.integers(0, 1000), points=st.integers(FEWEST_POINTS, 60))
def test_the_fit_is_that_of_ordinary_least_squares(seed: int, points: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.permutation(200)[:points], rng.normal(size=points)
    line, oracle = fit(x, y), stats.linregress(x, y)
    assert line is not None
    assert line.rate == pytest.approx(100 * oracle.slope)
    assert line.r2 == pytest.approx(oracle.rvalue**2)
    assert line.change == pytest.approx(oracle.slope * np.ptp(x))


@given(data=st.data())
def test_what_is_no_number_does_not_move_the_fit(data: st.DataObject) -> None:
    y = -0.1 * LAG + np.sin(LAG)
    sentinels = data.draw(
        st.dictionaries(st.integers(0, 99), st.sampled_from([ZERO, UNDERFLOW, NONFINITE]), max_size=50)
    )
    rest = np.setdiff1d(LAG, list(sentinels))
    y_with_sentinels = y.copy()
    y_with_sentinels[list(sentinels)] = list(sentinels.values())
    assert fit(LAG, y_with_sentinels) == fit(rest, y[rest])


def test_the_window_bounds_the_fit() -> None:
    y = np.where(LAG < 50, -LAG, -50)
    line = fit(LAG, y, (10, 40))
    assert line is not None
    assert line.rate == pytest.approx(-100)
    assert line.window == (10, 40)


@pytest.mark.parametrize("points", range(FEWEST_POINTS))
def test_too_few_points_are_no_fit(points: int) -> None:
    assert fit(LAG[:points], -LAG[:points]) is None


@given(rho=st.floats(0.02, 0.94), start=st.floats(-300, 300), stride=st.integers(1, 9))
def test_the_horizon_of_an_exponential_is_in_closed_form(rho: float, start: float, stride: int) -> None:
    lag = LAG[::stride]
    assert horizon(lag, start + lag * math.log10(rho)) == pytest.approx(math.log(0.01) / math.log(rho), rel=1e-6)


def test_the_horizon_counts_from_the_largest_value() -> None:
    # A loss on timestep 69 of 100: nothing at the first 30 lags, then a tenth a timestep.
    y = np.where(LAG < 30, ZERO, -(LAG - 30.0) / 10)
    assert horizon(LAG, y) == pytest.approx(20)


@pytest.mark.parametrize("sentinel", [ZERO, UNDERFLOW])
def test_a_cliff_is_a_horizon_at_its_foot(sentinel: float) -> None:
    assert horizon(LAG, np.where(LAG < 40, 0.0, sentinel)) == 40


def test_the_first_fall_counts_though_the_gradient_comes_back() -> None:
    assert horizon(LAG, np.where((LAG >= 10) & (LAG < 20), -3.0, 0.0)) == pytest.approx(9 + 2 / 3)


def test_a_gradient_that_does_not_fall_has_no_horizon() -> None:
    assert horizon(LAG, LAG * 0.1) is None
    assert horizon(LAG, LAG * -1e-3) is None
    assert horizon(LAG, np.where(LAG == 99, NONFINITE, -LAG)) is None
    assert horizon([], []) is None
