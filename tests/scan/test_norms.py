"""The compiled summaries are logspace's: for zeros, infinity, NaN, sequences that have ended, and sizes of 1e+-3000."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import make_batch, make_network

from rnnlab.cells import CELLS
from rnnlab.gradients.norm_tables import PERCENTS
from rnnlab.gradients.passes import Scratch, fast_pass
from rnnlab.gradients.readings import curves
from rnnlab.logspace import log10_of_squares, log10_percentiles, log10_total, power_of_ten
from rnnlab.network.objective import Objective
from rnnlab.scan.fast.layer_arrays import SQUARES
from rnnlab.scan.fast.norms import read_out_norms, summarize

SIZES = st.floats(0, 1e300, allow_subnormal=True) | st.floats(0.1, 10)
ODD = st.sampled_from([0.0, 5e-324, 1e-310, 1.0, math.inf, math.nan])
POWERS = st.integers(-10_000, 10_000) | st.integers(-3, 3) | st.just(0)

unhurried = settings(deadline=None, max_examples=300)


@st.composite
def rows(draw: st.DrawFn, elements: st.SearchStrategy[float]) -> tuple[Any, Any, Any]:
    """Squares and exponents [R, T, B] of rows, and lengths [R, B]."""
    shape = R, T, B = draw(st.tuples(st.integers(1, 2), st.integers(1, 3), st.sampled_from([1, 2, 5, 21])))

    def array(size: int, one: st.SearchStrategy[Any]) -> Any:
        return np.array(draw(st.lists(one, min_size=size, max_size=size)))

    squares, powers = array(R * T * B, elements).reshape(shape), array(R * T * B, POWERS).reshape(shape)
    return squares, powers, array(R * B, st.integers(0, T)).reshape(R, B)


AT = SQUARES.index("c")


def in_order(squares: Any) -> Any:
    """Squares [...] as the scan has those of one state, among others."""
    others = np.full((*squares.shape, len(SQUARES)), np.nan)
    others[..., AT] = squares
    return others


def summary(squares: Any, powers: Any, lengths: Any, cuts: tuple[int, ...] = ()) -> Any:
    R, T, B = squares.shape
    table, keys = np.full((2 + len(PERCENTS), R, T), -7.0), np.empty((R * T, B))
    for first, last in itertools.pairwise([0, *cuts, R * T]):
        summarize(in_order(squares), AT, powers, lengths, np.array(PERCENTS), keys, table, first, last)
    return table


def slow_summary(squares: Any, powers: Any, lengths: Any) -> Any:
    _, T, B = squares.shape
    alive = np.arange(T)[None, :, None] < lengths[:, None]
    samples = np.where(alive, log10_of_squares(squares, powers), -np.inf)
    total = log10_total(samples)
    percentiles = log10_percentiles(samples, alive, PERCENTS) + np.log10(B)
    return np.stack([power_of_ten(total), total, *percentiles])


def same(found: Any, expected: Any) -> None:
    """log10 values to 1e-12; where they are not finite they are the same."""
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@unhurried
@given(rows(SIZES) | rows(SIZES | ODD))
def test_a_summary_is_the_slow_one(given: tuple[Any, Any, Any]) -> None:
    with np.errstate(invalid="ignore"):
        found, expected = summary(*given), slow_summary(*given)
    same(found[1:], expected[1:])
    # A decade that is off by 1e-12 of 300 is a norm that is off by 7e-10 of it.
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("B", [1, 20, 256])
def test_a_summary_of_a_large_batch_is_numpys(B: int) -> None:
    rng = np.random.default_rng(B)
    squares, powers = rng.lognormal(size=(2, 30, B)), rng.integers(-40, 40, (2, 30, B))
    logs = np.log10(squares) / 2 + powers * np.log10(2)
    found = summary(squares, powers, np.full((2, B), 30))
    same(found[1], np.log10((squares * 4.0**powers).sum(-1)) / 2)
    same(found[2:], np.percentile(logs, PERCENTS, axis=-1) + np.log10(B))


@unhurried
@given(rows(SIZES | ODD), st.data())
def test_a_summary_in_pieces_is_the_whole(given: tuple[Any, Any, Any], data: st.DataObject) -> None:
    N = given[0].shape[0] * given[0].shape[1]
    cuts = tuple(sorted(data.draw(st.lists(st.integers(0, N), max_size=3))))
    np.testing.assert_array_equal(summary(*given, cuts), summary(*given))


@unhurried
@given(rows(SIZES | ODD), st.booleans(), st.data())
def test_a_total_at_read_outs_is_the_slow_one(given: tuple[Any, Any, Any], single: bool, data: st.DataObject) -> None:
    squares, powers, lengths = given
    R, T, B = squares.shape
    clock = np.arange(T)[None, :, None]
    times = np.where(clock < lengths[:, None], clock, -1)
    if single:
        squares, powers, times = squares[:, :1].copy(), powers[:, :1].copy(), (lengths - 1)[:, None].copy()
    found = np.full((R, T), -7.0)
    read_out_norms(in_order(squares), AT, powers, times, found, np.empty(T))
    logs = np.full((R, T, B), -np.inf)
    for r, s, b in np.argwhere(times >= 0):
        logs[r, times[r, s, b], b] = log10_of_squares(squares[r, s, b], powers[r, s, b])
    same(found, log10_total(logs))


def test_many_threads_give_one_summary() -> None:
    objective = Objective("class", "all", per_timestep=False)
    network = make_network(CELLS["lstm"](), R=2, hidden=2, dtype=torch.float32)
    batch = make_batch(objective, R=2, T=50, B=256, ragged=True, dtype=torch.float32)
    found = fast_pass(network, batch, objective, Scratch(1))
    on_one, before = curves(network, found, batch.lengths), torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        on_three = curves(network, found, batch.lengths)
    finally:
        torch.set_num_threads(before)
    for rows, others in zip(on_one, on_three, strict=True):
        for ours, theirs in zip(rows, others, strict=True):
            for name, values in ours.columns.items():
                np.testing.assert_array_equal(values, theirs.columns[name])
