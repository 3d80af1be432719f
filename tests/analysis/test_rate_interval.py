"""The printed interval of a rate covers the truth as often as it says, over simulated curves of many kinds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlab.analysis.curve import fit
from rnnlab.analysis.verdict import verdict_of

CURVES = 400


def walks(rng: np.random.Generator, n: int, phi: float = 0.0, drift: float = 0.0) -> np.ndarray:
    """Random walks [CURVES, n+1] whose increments are drift + a stationary AR(1) of that autocorrelation."""
    noise = rng.normal(size=(CURVES, n + 100))
    increments = np.zeros_like(noise)
    for k in range(1, noise.shape[1]):
        increments[:, k] = phi * increments[:, k - 1] + noise[:, k]
    walk = np.cumsum(drift + increments[:, -n:], 1)
    return np.concatenate([np.zeros((CURVES, 1)), walk], 1)


def coverage(curves: np.ndarray, truth: np.ndarray | float) -> tuple[float, float, float]:
    """Of curves [N, n+1] with these rates: share with an interval, of those the share that covers, and share misled."""
    lines = [fit(np.arange(curves.shape[1]), curve) for curve in curves]
    truths = np.broadcast_to(truth, len(curves))
    pairs = [(line.interval, rate) for line, rate in zip(lines, truths, strict=True) if line is not None]
    hits = [ends[0] <= rate <= ends[1] for ends, rate in pairs if ends is not None]
    given = len(hits) / len(curves)
    return given, float(np.mean(hits)) if hits else math.nan, (len(hits) - sum(hits)) / len(curves)


@pytest.mark.parametrize(("n", "phi"), [(30, 0.0), (100, 0.0), (400, 0.0), (60, 0.5), (300, 0.5), (300, 0.8)])
def test_intervals_cover_random_walks_with_drift(n: int, phi: float) -> None:
    curves = walks(np.random.default_rng(n), n, phi, drift=-0.3)
    given, covered, _ = coverage(curves, -30.0)
    assert given > 0.95
    assert 0.90 <= covered <= 0.98


@pytest.mark.parametrize(("n", "phi"), [(12, 0.5), (20, 0.8), (40, 0.9), (100, 0.95)])
def test_where_increments_are_too_much_alike_there_is_mostly_no_interval(n: int, phi: float) -> None:
    """What cannot be had is not printed, so that few of all curves mislead."""
    given, _, misled = coverage(walks(np.random.default_rng(n), n, phi), 0.0)
    assert given < 0.5
    assert misled < 0.1


def chaotic(rng: np.random.Generator, gain: float, curves: int, timesteps: int) -> tuple[np.ndarray, float]:
    """log10 |adjoint| [curves, timesteps+1] of a tanh RNN driven by noise, and its rate over much longer curves."""
    H, long = 48, 12
    W = gain * rng.normal(size=(H, H)) / math.sqrt(H)
    h = rng.normal(size=(curves, H))
    slopes = []
    for _ in range(200 + long * timesteps):
        h = np.tanh(h @ W.T + 0.3 * rng.normal(size=h.shape))
        slopes.append(1 - h * h)
    logs = np.zeros((curves, long * timesteps + 1))
    back = rng.normal(size=(curves, H))
    for k, slope in enumerate(reversed(slopes[200:])):
        back = (back * slope) @ W
        size = np.linalg.norm(back, axis=1, keepdims=True)
        back, logs[:, k + 1] = back / size, logs[:, k] + np.log10(size[:, 0])
    settled = logs[:, timesteps:]
    rate = float((settled[:, -1] - settled[:, 0]).mean()) / (settled.shape[1] - 1)
    return settled[:, : timesteps + 1], 100 * rate


@pytest.mark.parametrize("gain", [2.0, 4.0])
def test_intervals_cover_the_rates_of_chaotic_networks(gain: float) -> None:
    networks = [chaotic(np.random.default_rng(seed), gain, 100, 150) for seed in range(4)]
    shares = [coverage(curves, truth)[:2] for curves, truth in networks]
    # Positive: errors grow forward in time.
    assert np.median([truth for _, truth in networks]) > 1
    given, covered = np.mean(shares, 0)
    assert given > 0.8
    assert 0.90 <= covered <= 0.98


@given(rho=st.floats(0.02, 3), start=st.floats(-300, 300), points=st.integers(5, 200), stride=st.integers(1, 9))
def test_the_interval_of_an_exact_exponential_has_no_width_and_covers_it(
    rho: float, start: float, points: int, stride: int
) -> None:
    lag = stride * np.arange(points)
    line = fit(lag, np.round(start + lag * math.log10(rho), 9))
    assert line is not None
    assert line.interval is not None
    low, high = line.interval
    assert low <= 100 * math.log10(rho) <= high
    assert high - low < 1e-4


@given(shift=st.floats(-300, 300), scale=st.floats(0.1, 10), trend=st.floats(-1, 1), seed=st.integers(0, 99))
def test_the_interval_follows_a_change_of_units(shift: float, scale: float, trend: float, seed: int) -> None:
    """y -> shift + trend x + scale y moves the rate by the trend and stretches the interval by the scale."""
    y = np.cumsum(np.random.default_rng(seed).normal(size=60))
    plain, other = fit(np.arange(60), y), fit(np.arange(60), shift + trend * np.arange(60) + scale * y)
    assert plain is not None
    assert other is not None
    assert plain.margin is not None
    assert other.margin == pytest.approx(scale * plain.margin, rel=1e-5)


def words(curves: np.ndarray) -> dict[Any, float]:
    counted = [verdict_of(np.arange(curves.shape[1]), curve).word for curve in curves]
    return {word: counted.count(word) / len(curves) for word in counted}


@pytest.mark.parametrize("n", [10, 27, 100, 300])
def test_random_walks_without_drift_neither_vanish_nor_explode_beyond_the_nominal_share(n: int) -> None:
    told = words(walks(np.random.default_rng(n), n))
    # 5%, and two standard errors of 400 coins.
    assert told.get("vanishing", 0) + told.get("exploding", 0) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / CURVES)
    assert told.get("stable", 0) == 0
    assert told.get("mixed", 0) < 0.1


def test_random_walks_with_a_drift_are_told() -> None:
    assert words(walks(np.random.default_rng(0), 100, drift=-1.0))["vanishing"] > 0.95
    assert words(walks(np.random.default_rng(0), 100, drift=1.0))["exploding"] > 0.95
