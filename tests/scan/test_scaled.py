"""Scaled numbers against exact rational arithmetic and mpmath: mantissas of both formats, exponents of any size."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp
from torch import Tensor

from rnnlab.scan.scaled import Scaled, log2_norm
from rnnlab.scan.thresholds import NO_EXPONENT

INF, NAN = math.inf, math.nan
F64 = torch.float64
DTYPES = [torch.float32, torch.float64]

unhurried = settings(deadline=None)


def true_values(scaled: Scaled) -> list[list[Fraction]]:
    """mantissa [R, N] * 2^exponent [R], exactly."""
    rows = zip(scaled.mantissa.tolist(), scaled.exponent.tolist(), strict=True)
    return [[Fraction(value) * Fraction(2) ** exponent for value in row] for row, exponent in rows]


def rows_of(seed: int, dtype: torch.dtype = F64, spread: int = 100) -> Tensor:
    """Rows [4, 3] of very different sizes, all of them normal numbers of the format."""
    g = torch.Generator().manual_seed(seed)
    powers = torch.randint(-spread, spread + 1, (4, 1), generator=g)
    return (torch.randn(4, 3, generator=g, dtype=F64) * powers.double().exp2()).to(dtype)


# rows and their exponents


@pytest.mark.parametrize("dtype", DTYPES)
@unhurried
@given(seed=st.integers(0, 999), exponent=st.integers(-5000, 5000))
def test_a_normalized_row_has_the_same_value_and_its_largest_entry_below_one(
    dtype: torch.dtype, seed: int, exponent: int
) -> None:
    rows = rows_of(seed, dtype)
    scaled = Scaled.of(rows, torch.full((4,), exponent))
    assert true_values(scaled) == true_values(Scaled(rows, torch.full((4,), exponent)))
    assert ((scaled.mantissa.abs().amax(-1) >= 0.5) & (scaled.mantissa.abs().amax(-1) < 1)).all()


@pytest.mark.parametrize("odd", [0.0, INF, NAN])
def test_a_row_that_has_no_size_keeps_its_values_and_its_exponent(odd: float) -> None:
    rows = torch.tensor([[odd, 0.0], [8.0, 1.0]], dtype=F64)
    mantissa, exponent = Scaled.of(rows, 7)
    np.testing.assert_array_equal(mantissa[0], rows[0])
    assert exponent.tolist() == [7, 11]


@unhurried
@given(seed=st.integers(0, 999), spread=st.sampled_from([0, 25, 500]))
def test_rows_near_one_stay_as_they_are_and_the_others_are_normalized(seed: int, spread: int) -> None:
    rows = rows_of(seed, spread=spread)
    near = Scaled.near(rows, F64)
    assert true_values(near) == true_values(Scaled(rows, torch.zeros(4, dtype=torch.int64)))
    for row, before, exponent in zip(near.mantissa, rows, near.exponent.tolist(), strict=True):
        assert exponent == 0 or abs(exponent) > NO_EXPONENT
        if exponent == 0:
            assert torch.equal(row, before)


def test_rows_that_float32_cannot_hold_keep_their_digits_in_it() -> None:
    rows = torch.tensor([[3e-200, 1e-200], [3e200, 1e200], [0.0, 0.0], [0.75, 0.25]], dtype=F64)
    near = Scaled.near(rows, torch.float32)
    assert near.mantissa.dtype == torch.float32
    back = near.mantissa.double() * near.exponent[:, None].double().exp2()
    torch.testing.assert_close(back, rows, rtol=1e-7, atol=0)
    assert near.exponent[2:].tolist() == [0, 0]


@unhurried
@given(seed=st.integers(0, 999), exponent=st.integers(-5000, 5000))
def test_log10_norm_is_that_of_the_true_row(seed: int, exponent: int) -> None:
    scaled = Scaled.of(rows_of(seed), exponent)
    for row, found in zip(true_values(scaled), scaled.log10_norm().tolist(), strict=True):
        square = sum((value**2 for value in row), Fraction(0))
        exact = mp.log10(mp.mpf(square.numerator) / mp.mpf(square.denominator)) / 2
        assert found == pytest.approx(float(exact), abs=1e-10)


@unhurried
@given(seed=st.integers(0, 999), exponent=st.integers(-400, 400), power=st.integers(-400, 400))
def test_a_clamp_is_that_of_the_true_values(seed: int, exponent: int, power: int) -> None:
    bound = 0.7 * 2.0**power
    before = Scaled.of(rows_of(seed), exponent)
    after = true_values(before.clamped(torch.full((4,), bound, dtype=F64)))
    for row, clamped in zip(true_values(before), after, strict=True):
        assert clamped == [max(min(value, Fraction(bound)), -Fraction(bound)) for value in row]


def test_without_a_bound_nothing_is_clamped() -> None:
    scaled = Scaled.of(rows_of(0))
    assert scaled.clamped(None) is scaled


@pytest.mark.parametrize("dtype", DTYPES)
@unhurried
@given(seed=st.integers(0, 999), log2_factor=st.floats(-5000, 5000))
def test_a_power_multiplies_the_norm(dtype: torch.dtype, seed: int, log2_factor: float) -> None:
    scaled = Scaled(rows_of(seed, dtype), torch.tensor([0, 5, -3000, 3000]))
    after = scaled.times_power(np.full(4, log2_factor))
    assert after.mantissa.dtype == dtype
    expected = log2_norm([scaled]) + log2_factor
    torch.testing.assert_close(log2_norm([after]), expected, rtol=0, atol=1e-6 if dtype == torch.float32 else 1e-11)


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
