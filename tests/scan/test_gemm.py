"""The compiled matrix product against numpy's, at any shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from rnnlab.scan.fast.gemm import address, gemm, pack, padded_width, panel_width

# What the tests compile is not kept on disk: one process does it once for all of them.
pytestmark = pytest.mark.xdist_group("gemm")


@njit
def plus_gemm(unit, start, A, B):  # type: ignore[no-untyped-def]
    """start + A B, by the product under test; start is [N], or [M, N] and added to in place."""
    (M, K), columns = A.shape, B.shape[1]
    N, width = padded_width(columns, unit), panel_width(unit)
    packed = np.full((-(-columns // width), K, width), np.nan, A.dtype)
    pack(B, packed, unit)
    out, bias = np.full((M, N), np.nan, A.dtype), np.zeros(N, A.dtype)
    bias[:columns] = start
    gemm(unit, M, N, K, address(A), K, 1, address(packed), address(bias), 0, address(out), N)
    first = out[:, :columns].copy()
    gemm(unit, M, N, K, address(A), K, 1, address(packed), address(out), N, address(out), N)
    return first, out[:, :columns]


SIZES = st.integers(1, 70)


@pytest.mark.long
@settings(max_examples=60, deadline=None)
@given(M=SIZES, N=SIZES, K=st.integers(0, 70), dtype=st.sampled_from([np.float32, np.float64]), seed=st.integers(0, 99))
def test_equals_numpy(M: int, N: int, K: int, dtype: type, seed: int) -> None:
    rng = np.random.default_rng(seed)
    A, B, start = (rng.normal(size=size).astype(dtype) for size in ((M, K), (K, N), (N,)))
    exact = A.astype(float) @ B.astype(float)
    once, twice = plus_gemm(dtype(1), start, A, B)
    tolerance = 200 * np.finfo(dtype).eps
    np.testing.assert_allclose(once, start + exact, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(twice, start + 2 * exact, rtol=tolerance, atol=tolerance)


@pytest.mark.long
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_does_not_depend_on_the_rows_beside_it(dtype: type) -> None:
    """To the bit: so it does not matter into which blocks a batch is cut."""
    rng = np.random.default_rng(0)
    A, B, start = (rng.normal(size=size).astype(dtype) for size in ((29, 37), (37, 45), (45,)))
    together, _ = plus_gemm(dtype(1), start, A, B)
    for first, last in ((0, 1), (3, 17), (17, 29)):
        alone, _ = plus_gemm(dtype(1), start, A[first:last].copy(), B)
        np.testing.assert_array_equal(alone, together[first:last])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_row(value: float) -> None:
    A, B = np.ones((9, 5)), np.ones((5, 7))
    A[4, 2] = value
    once, _ = plus_gemm(1.0, np.zeros(7), A, B)
    assert not np.isfinite(once[4]).any()
    np.testing.assert_array_equal(np.delete(once, 4, 0), 5.0)
