"""Singular values of long products against mpmath, and exponents against closed forms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mpmath
import numpy as np
import pytest

from rnnlab.analysis.matrix_products import (
    LyapunovExponents,
    MatrixProduct,
    batch_means_error,
    isometry_error,
    kaplan_yorke,
)

Draw = Callable[[np.random.Generator], np.ndarray]
N = 5


def normal(rng: np.random.Generator) -> np.ndarray:
    return 0.5 * rng.normal(size=(N, N))


def rows_of_all_sizes(rng: np.random.Generator) -> np.ndarray:
    return 10 ** rng.uniform(-12, 0, (N, 1)) * rng.normal(size=(N, N))


def columns_of_all_sizes(rng: np.random.Generator) -> np.ndarray:
    return 10 ** rng.uniform(-12, 0, N) * rng.normal(size=(N, N))


def rotation(rng: np.random.Generator) -> np.ndarray:
    return 0.9 * np.linalg.qr(rng.normal(size=(N, N)))[0]


def huge(rng: np.random.Generator) -> np.ndarray:
    return 1e30 * rng.normal(size=(N, N))


def exact(factors: Sequence[np.ndarray]) -> np.ndarray:
    """log10 of the singular values of the product, in 1,500 digits."""
    with mpmath.workdps(1500):
        product = mpmath.eye(N)
        for factor in factors:
            product = mpmath.matrix(factor.tolist()) * product
        return np.array([float(mpmath.log10(value)) for value in mpmath.svd_r(product, compute_uv=False)])


def ours(factors: Sequence[np.ndarray]) -> np.ndarray:
    product = MatrixProduct(N)
    for factor in factors:
        product.multiply(factor)
    return product.log10_singular_values()


@pytest.mark.parametrize("draw", [normal, rows_of_all_sizes, columns_of_all_sizes, rotation, huge])
@pytest.mark.parametrize("length", [1, 40])
def test_singular_values_are_mpmaths(draw: Draw, length: int) -> None:
    """Of products down to 1e-450 of their largest singular value, and up to 1e+1200."""
    rng = np.random.default_rng(0)
    factors = [draw(rng) for _ in range(length)]
    np.testing.assert_allclose(ours(factors), exact(factors), rtol=0, atol=1e-11)


def test_neighbours_are_told_apart_across_the_range() -> None:
    """Diagonal factors, of which 60 have singular values from 1e0 to 1e-885, three of each size."""
    values = np.repeat(10 ** np.linspace(0, -14.75, 20), 3) * np.tile([1, 0.5, 0.25], 20)
    rng, product = np.random.default_rng(0), MatrixProduct(60)
    turned = np.linalg.qr(rng.normal(size=(60, 60)))[0]
    product.multiply(turned)
    for _ in range(60):
        product.multiply(np.diag(values))
    expected = np.sort(60 * np.log10(values))[::-1]
    np.testing.assert_allclose(product.log10_singular_values(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dead", ["row", "column"])
def test_a_dead_unit_gives_an_exact_zero_and_leaves_the_others(dead: str) -> None:
    rng = np.random.default_rng(0)
    factors = [normal(rng) for _ in range(12)]
    factors[4][(2,) if dead == "row" else (slice(None), 2)] = 0
    result = ours(factors)
    assert result[-1] == -np.inf
    np.testing.assert_allclose(result[:-1], exact(factors)[:-1], rtol=0, atol=1e-11)


def test_a_product_with_zero_is_zero() -> None:
    assert (ours([np.eye(N), np.zeros((N, N)), np.eye(N)]) == -np.inf).all()


@pytest.mark.parametrize("log10_size", [-200, -3, 0, 3, 200])
def test_the_isometry_error_is_its_formula(log10_size: float) -> None:
    logs = log10_size + np.array([0.2, 0.0, -0.1])
    with mpmath.workdps(500):
        squares = [(mpmath.mpf(10) ** (2 * mpmath.mpf(float(s))) - 1) ** 2 for s in logs]
        expected = float(mpmath.log10(sum(squares) / 3) / 2)
    assert isometry_error(logs) == pytest.approx(expected, abs=1e-10)


def test_an_isometry_has_no_error() -> None:
    assert isometry_error(np.zeros(4)) == -np.inf


@pytest.mark.parametrize(
    ("exponents", "dimension"),
    [([-0.1, -0.2], 0.0), ([0.0, -1.0], 1.0), ([0.5, -0.25, -1.0], 2.25), ([0.3, 0.2], 2.0), ([0.4, -np.inf], 1.0)],
)
def test_the_kaplan_yorke_dimension(exponents: list[float], dimension: float) -> None:
    assert kaplan_yorke(np.array(exponents)) == pytest.approx(dimension, abs=1e-15)


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_batch_means_give_the_error_of_a_mean_of_dependent_values(correlation: float) -> None:
    """AR(1) of n = 2,500: the standard deviation of the mean is sqrt((1+a)/(1-a)/n) of that of the values."""
    rng = np.random.default_rng(0)
    noise, values = rng.normal(size=(2500, 300)), np.empty((2500, 300))
    values[0] = noise[0] / np.sqrt(1 - correlation**2)
    for t in range(1, 2500):
        values[t] = correlation * values[t - 1] + noise[t]
    errors = batch_means_error(values)
    true = np.sqrt(1 / (1 - correlation) ** 2 / 2500)
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(true, rel=0.15)


def test_exponents_are_sorted_with_their_errors() -> None:
    growth = np.random.default_rng(0).normal([-1.0, 0.5, -0.2], [0.1, 0.2, 0.3], (400, 3))
    exponents = LyapunovExponents.of(growth)
    np.testing.assert_array_equal(exponents.values, np.sort(growth.mean(0))[::-1])
    np.testing.assert_allclose(exponents.errors, np.array([0.2, 0.3, 0.1]) / 20, rtol=0.5)
