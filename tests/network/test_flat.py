"""A gradient as one row a replica: its norm and its plain values, whatever its size and whoever stands beside it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlab.network.flat import Gradient, Layout, row_norms
from rnnlab.scan.scaled import Scaled, log2_norm

DTYPES = [torch.float32, torch.float64]
SHAPES = {"W": (3, 4), "U": (2, 3, 2), "b": (5,)}
LAYOUT = Layout(SHAPES)
POWERS = st.sampled_from([0, 0, 7, -12, -99, -101, 130, -160, 990, -1060, 5000, -5000])


def parts(powers: list[list[int]], dtype: torch.dtype, seed: int = 0) -> list[Scaled]:
    """Gradients of the parameters with these exponents, by parameter and replica."""
    g, R = torch.Generator().manual_seed(seed), len(powers[0])
    sizes = zip(SHAPES.values(), powers, strict=True)
    return [Scaled(torch.randn(R, *shape, generator=g, dtype=dtype), torch.tensor(e)) for shape, e in sizes]


@pytest.mark.parametrize("R", [1, 3])
def test_views_are_the_row_in_order(R: int) -> None:
    rows = torch.arange(R * LAYOUT.width).view(R, LAYOUT.width)
    views = LAYOUT.views(rows)
    assert {name: tuple(view.shape[1:]) for name, view in views.items()} == SHAPES
    assert LAYOUT.count == 29
    assert torch.equal(torch.cat([view.flatten(1) for view in views.values()], 1), rows[:, :29])
    views["b"][R - 1, 2] = -1
    assert rows[R - 1, 26] == -1


@pytest.mark.parametrize(("count", "width"), [(1, 32), (31, 32), (32, 32), (33, 64), (10451, 10464)])
def test_a_row_is_a_whole_number_of_vectors(count: int, width: int) -> None:
    layout = Layout({"W": (count,)})
    assert (layout.count, layout.width) == (count, width)


@settings(deadline=None, max_examples=200)
@given(
    powers=st.lists(st.tuples(POWERS, POWERS), min_size=3, max_size=3),
    shared=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 99),
)
def test_plain_and_norm_are_those_of_the_parts(
    powers: list[tuple[int, int]], shared: bool, dtype: torch.dtype, seed: int
) -> None:
    """Of every parameter by itself, to the last bit, however far apart their exponents are."""
    each = parts([list(one) for one in powers], dtype, seed)
    if shared:
        each = [Scaled(one.mantissa, each[0].exponent) for one in each]
    gradient = Gradient(each, LAYOUT.width)
    np.testing.assert_allclose(gradient.log2_norm, log2_norm(each), rtol=1e-12, atol=1e-12)
    for view, one in zip(LAYOUT.views(gradient.plain()).values(), each, strict=True):
        assert torch.equal(view, one.plain())
    assert (gradient.plain()[:, LAYOUT.count :] == 0).all()


@settings(deadline=None, max_examples=200)
@given(
    powers=st.lists(POWERS, min_size=3, max_size=3),
    factor=st.floats(-6000, 0) | st.floats(-60, 0),
    dtype=st.sampled_from(DTYPES),
)
def test_a_factor_is_one_on_the_true_value(powers: list[int], factor: float, dtype: torch.dtype) -> None:
    each = parts([[power] for power in powers], dtype)
    found = LAYOUT.views(Gradient(each, LAYOUT.width).plain(np.array([factor]))).values()
    whole = math.floor(factor)
    eps, tiny = torch.finfo(dtype).eps, torch.finfo(dtype).tiny
    for ours, (mantissa, exponent) in zip(found, each, strict=True):
        true = Scaled(mantissa * 2 ** (factor - whole), exponent + whole).plain()
        torch.testing.assert_close(ours, true, rtol=4 * eps, atol=2 * tiny)


@pytest.mark.parametrize("dtype", DTYPES)
def test_replicas_do_not_meet(dtype: torch.dtype) -> None:
    """One vanished, one exploded, one of zero, one of NaN, one ordinary: each as it is alone, to the last bit."""
    powers = [-400, 700, 0, 0, -3]
    each = parts([powers] * 3, dtype)
    for one in each:
        one.mantissa[2] = 0
    each[1].mantissa[3, 0, 0, 0] = math.nan
    together, factor = Gradient(each, LAYOUT.width), np.array([-1.5, -701.2, 0.0, 0.0, -2.7])
    for r in range(5):
        alone = Gradient([Scaled(m[r : r + 1], e[r : r + 1]) for m, e in each], LAYOUT.width)
        np.testing.assert_array_equal(together.log2_norm[r], alone.log2_norm[0])
        for shift in (None, factor):
            own = alone.plain(None if shift is None else shift[r : r + 1])
            torch.testing.assert_close(together.plain(shift)[r], own[0], rtol=0, atol=0, equal_nan=True)
    assert together.log2_norm[2] == -math.inf
    assert np.isnan(together.log2_norm[3])


def test_entries_below_the_smallest_normal_are_zero() -> None:
    tiny = torch.finfo(torch.float32).tiny
    row = torch.tensor([[1.0, tiny, -tiny, tiny / 2, -tiny / 2, tiny * (1 - 2**-23)]])
    found = Gradient([Scaled(row, torch.tensor([0]))], 32).plain()[0, :6]
    assert found.tolist() == [1.0, tiny, -tiny, 0.0, 0.0, 0.0]


def test_rows_are_fresh_every_time() -> None:
    each = parts([[0], [0], [0]], torch.float32)
    gradient = Gradient(each, LAYOUT.width)
    first = gradient.plain()
    kept = first.clone()
    first.zero_()
    assert torch.equal(gradient.plain(), kept)


@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e-20, 1.0, 1e150, 1e200, 1e300])
def test_row_norms_have_the_range_of_float64(size: float) -> None:
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1.0, math.nan], [math.inf, 1.0]], dtype=torch.float64) * size
    np.testing.assert_allclose(row_norms(rows), [5 * size, 0, math.nan, math.inf], rtol=1e-12)


def test_norms_beyond_float64_are_zero_and_inf() -> None:
    gradient = Gradient([Scaled(torch.ones(2, 4), torch.tensor([5000, -5000]))], 32)
    assert gradient.log2_norm.tolist() == [5001, -4999]
    assert gradient.norms().tolist() == [math.inf, 0]
