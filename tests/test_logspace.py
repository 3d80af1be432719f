"""Norms of any size: against mpmath and numpy, from 1e-3000 to 1e+3000, with zero, infinity and NaN kept apart."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mpmath import mp

from rnnlab.logspace import Scaled, log2_norm, log10_of_squares, log10_percentiles, log10_total, power_of_ten

INF, NAN = math.inf, math.nan
DTYPES = [torch.float32, torch.float64]
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


# the norm of a scaled gradient


@pytest.mark.parametrize("dtype", DTYPES)
@unhurried
@given(seed=st.integers(0, 999), parts=st.integers(1, 4), spread=st.sampled_from([0, 30, 5000]))
def test_log2_norm_is_that_of_all_parts_together(dtype: torch.dtype, seed: int, parts: int, spread: int) -> None:
    g, R = torch.Generator().manual_seed(seed), 3
    gradients = [
        Scaled(torch.randn(R, 2, 3, generator=g, dtype=dtype), torch.randint(-spread, spread + 1, (R,), generator=g))
        for _ in range(parts)
    ]
    found = log2_norm(gradients)
    assert found.dtype == torch.float64
    for r in range(R):
        squares = [
            mp.ldexp(mp.mpf(value), int(one.exponent[r])) ** 2
            for one in gradients
            for value in one.mantissa[r].flatten().tolist()
        ]
        assert found[r].item() == pytest.approx(float(mp.log(mp.fsum(squares), 2) / 2), abs=1e-10)


@pytest.mark.parametrize("size", [5e-324, 1e-310, 1e-200, 1e200, 1e308])
def test_log2_norm_holds_what_the_square_of_a_float64_does_not(size: float) -> None:
    gradient = Scaled(torch.tensor([[0.6 * size, 0.8 * size], [size, 0]], dtype=torch.float64), torch.tensor([0, 40]))
    expected = math.log2(size) + np.array([0, 40])
    np.testing.assert_allclose(log2_norm([gradient]), expected, atol=1e-12 if size > 1e-300 else 1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_log2_norm_keeps_zero_and_the_not_finite_of_each_replica(dtype: torch.dtype) -> None:
    parts = [
        ([0, INF, NAN, 1, -INF, 0], [5, 0, 0, -3000, 0, 0]),
        ([0, 1, 1, 0, NAN, 2], [0, 3000, 0, 0, 0, 1]),
    ]
    gradients = [Scaled(torch.tensor(part, dtype=dtype)[:, None], torch.tensor(powers)) for part, powers in parts]
    np.testing.assert_array_equal(log2_norm(gradients), [-INF, INF, NAN, -3000, NAN, 2])


# the plain value of a scaled gradient


def exactly(mantissa: float, exponent: int, dtype: torch.dtype) -> float:
    """mantissa * 2^exponent by rational arithmetic; inf beyond the format, 0 below its smallest normal."""
    if not math.isfinite(mantissa):
        return mantissa
    value, limits = Fraction(mantissa) * Fraction(2) ** exponent, torch.finfo(dtype)
    if abs(value) < Fraction(limits.tiny):
        return 0.0
    return float(value) if abs(value) <= Fraction(limits.max) else math.copysign(INF, mantissa)


@pytest.mark.parametrize("dtype", DTYPES)
@unhurried
@given(
    entries=st.lists(st.floats(width=16, allow_nan=False) | st.sampled_from([0.0, 1e-40, 1e-30, 1e30]), min_size=1),
    exponent=st.integers(-5000, 5000) | st.integers(-300, 300),
)
def test_plain_is_the_exact_value_or_zero_or_infinite(dtype: torch.dtype, entries: list[float], exponent: int) -> None:
    """Never a subnormal number, and no NaN from 0 * 2^e or inf * 2^-e."""
    mantissa = torch.tensor([entries, entries], dtype=dtype)
    found = Scaled(mantissa, torch.tensor([exponent, 0])).plain()
    assert found.dtype == dtype
    for value, after, untouched in zip(mantissa[0].tolist(), *found.tolist(), strict=True):
        assert after == exactly(value, exponent, dtype)
        assert untouched == exactly(value, 0, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@unhurried
@given(seed=st.integers(0, 99), exponent=st.integers(-3000, 3000), scale=st.integers(-120, 120))
def test_plain_spans_the_limitsfrom_any_mantissa(dtype: torch.dtype, seed: int, exponent: int, scale: int) -> None:
    g = torch.Generator().manual_seed(seed)
    mantissa = torch.ldexp(torch.randn(1, 4, generator=g, dtype=dtype), torch.tensor(scale))
    found = Scaled(mantissa, torch.tensor([exponent])).plain()[0].tolist()
    for value, after in zip(mantissa[0].tolist(), found, strict=True):
        assert after == pytest.approx(exactly(value, exponent, dtype), rel=0, abs=torch.finfo(dtype).tiny)


@pytest.mark.parametrize("exponent", [-200, 0, 200])
def test_plain_treats_each_replica_as_if_it_were_alone(exponent: int) -> None:
    mantissa = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    mantissa[0, 0, 0] = 1e-40
    together = Scaled(mantissa, torch.tensor([0, exponent])).plain()
    for r, own in enumerate((0, exponent)):
        assert torch.equal(together[r : r + 1], Scaled(mantissa[r : r + 1], torch.tensor([own])).plain())


def test_plain_keeps_nan() -> None:
    assert Scaled(torch.full((1, 2), NAN), torch.tensor([-4000])).plain().isnan().all()
