"""The word of a verdict, its reason and its text."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlab.analysis.verdict import verdict_of
from rnnlab.analysis.verdict_text import with_margin

LAG = np.arange(100)
ZERO, UNDERFLOW, NONFINITE = -np.inf, np.nan, np.inf


@given(data=st.data())
def test_the_order_of_the_rows_means_nothing(data: st.DataObject) -> None:
    order = np.array(data.draw(st.permutations(range(30))))
    y = np.cos(np.arange(30)) - np.arange(30) / 5
    assert verdict_of(order, y[order]) == verdict_of(np.arange(30), y)


@pytest.mark.parametrize(
    ("y", "word"),
    [
        (-0.0102 * LAG, "vanishing"),
        (-0.0100 * LAG, "stable"),
        (0.0 * LAG, "stable"),
        (0.0100 * LAG, "stable"),
        (0.0102 * LAG, "exploding"),
        (np.where(LAG > 50, UNDERFLOW, -0.5 * LAG), "vanishing"),
        (np.where(LAG > 1, UNDERFLOW, -20 * LAG), "vanishing"),
        (np.where(LAG > 50, NONFINITE, 0.5 * LAG), "exploding"),
        (np.where(LAG < 30, ZERO, -LAG), "vanishing"),
    ],
)
def test_the_word(y: np.ndarray, word: str) -> None:
    verdict = verdict_of(LAG, y)
    assert (verdict.word, verdict.reason) == (word, "")
    assert verdict.text.startswith(word)


@pytest.mark.parametrize(
    ("y", "reason"),
    [
        (np.full(100, UNDERFLOW), "below what the number format holds at every timestep"),
        (np.full(100, NONFINITE), "100 of 100 not finite"),
        (np.where(LAG > 50, NONFINITE, -0.5 * LAG), "49 of 100 not finite"),
        (np.where(LAG < 97, ZERO, -2.0), "3 of 100 points are numbers, and a fit takes 5"),
        ([], "no gradient was recorded"),
    ],
)
def test_where_nothing_can_be_said_the_reason_is(y: np.ndarray, reason: str) -> None:
    verdict = verdict_of(LAG[: len(y)], y)
    assert verdict.word == "none"
    assert reason in verdict.reason
    assert verdict.text.startswith(f"no verdict: {verdict.reason}.")


def test_what_is_left_out_is_counted_and_said() -> None:
    y = -0.1 * LAG
    y[[1, 2, 3]], y[[4, 5]], y[90:] = ZERO, UNDERFLOW, UNDERFLOW
    verdict = verdict_of(LAG, y)
    assert (verdict.zeros, verdict.underflow, verdict.nonfinite) == (3, 12, 0)
    assert "Not in the fit: 3 exactly zero, 12 underflow." in verdict.text
    assert "zero or underflow from lag 90 on" in verdict.text


@pytest.mark.parametrize(
    ("y", "reason"),
    [
        (np.full(100, ZERO), "exactly zero at every timestep"),
        (np.where(LAG > 0, ZERO, -2.0), "exactly zero from lag 1 on"),
        (np.where(LAG > 20, ZERO, -3.0 - LAG), "exactly zero from lag 21 on"),
    ],
)
def test_an_exact_zero_behind_the_read_out_is_dead(y: np.ndarray, reason: str) -> None:
    verdict = verdict_of(LAG, y)
    assert verdict.word == "dead"
    assert reason in verdict.reason
    assert verdict.text.startswith(f"dead: {verdict.reason}.")


@pytest.mark.parametrize(
    ("y", "ends"),
    [
        (np.abs(LAG - 50) * 0.1, ((0, 50), (50, 99))),
        (-np.abs(LAG - 30) * 0.1, ((0, 30), (30, 99))),
        (np.where(LAG < 50, 0.0, -20.0), ((0, 49), (50, 99))),
        (np.where(LAG < 30, 0.0, 20.0), ((0, 29), (30, 99))),
        (np.maximum(-0.5 * LAG, -10), ((0, 20), (20, 99))),
    ],
    ids=["V", "roof", "cliff", "wall", "floor"],
)
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_curve_that_turns_or_falls_off_a_cliff_is_mixed(y: np.ndarray, ends: Any, noise: float) -> None:
    verdict = verdict_of(LAG, y + noise * np.random.default_rng(0).normal(size=100))
    assert (verdict.word, verdict.exponential) == ("mixed", False)
    assert "no exponential" in verdict.text
    assert verdict.parts is not None
    for line, window in zip(verdict.parts, ends, strict=True):
        assert line is not None
        assert np.abs(np.subtract(line.window, window)).max() <= (4 if noise else 0)


@pytest.mark.parametrize("points", range(5, 12))
@pytest.mark.parametrize("shape", ["V", "cliff", "turn"])
def test_of_fewer_than_nine_points_a_shape_is_not_told_from_scatter(shape: str, points: int) -> None:
    """A curve as short has no word, and not one that a line through it would give: it moves by 2 to 6 decades."""
    lag, middle = np.arange(points), (points - 1) / 2
    shapes = {
        "V": 1.5 * np.abs(lag - middle),
        "cliff": np.where(lag < points / 2, 0.0, -6.0),
        "turn": np.minimum(0, points / 2 - lag),
    }
    verdict = verdict_of(lag, shapes[shape])
    assert verdict.word == ("mixed" if points >= 9 else "not told apart")
    assert (verdict.parts is None) == (points < 9)
    assert ("no exponential" in verdict.text) == (points >= 9)


def test_noise_about_a_level_is_stable_and_has_no_r2_to_speak_of() -> None:
    assert verdict_of(LAG, np.random.default_rng(0).normal(0, 0.05, 100)).word == "stable"


def test_a_smooth_fall_without_an_interval_is_told_by_the_signs_of_its_increments() -> None:
    """Increments that change slowly are all alike, and no interval can be had: but each of them falls."""
    lag = np.arange(28)
    verdict = verdict_of(lag, -0.14 * lag - 0.7 * (1 - np.exp(-lag / 8)))
    assert verdict.fit is not None
    assert verdict.fit.margin is None
    assert verdict.word == "vanishing"
    assert "It falls at nearly every timestep back; its increments are too few" in verdict.text
    assert verdict_of(lag[:12], -0.14 * lag[:12] - 0.7 * (1 - np.exp(-lag[:12] / 8))).word == "not told apart"


def test_a_wide_interval_is_no_word_and_the_signs_of_the_increments_say_so() -> None:
    lag = np.arange(40)
    y = -0.1 * lag - 0.8 * (1 - np.exp(-lag)) + np.random.default_rng(0).normal(0, 0.01, 40)
    verdict = verdict_of(lag, y)
    assert verdict.fit is not None
    assert verdict.fit.margin is not None
    assert verdict.word == "vanishing"
    assert ("falls at nearly every timestep" in verdict.text) == (not verdict.fit.is_beyond_a_decade)


def test_one_sample_that_explodes_while_the_others_vanish_is_told_with_both_parts() -> None:
    samples = np.where(np.arange(64)[:, None] == 0, 0.1, -0.1) * LAG
    norm, median = np.log10(np.sqrt((10 ** (2 * samples)).sum(0))), np.median(samples, 0)
    verdict = verdict_of(LAG, norm, None, median)
    assert (verdict.word, verdict.short) == ("exploding", "exploding (median vanishing)")
    assert verdict.median is not None
    assert verdict.median.rate == pytest.approx(-10)
    assert "the median sample is vanishing (-10 ± 0)" in verdict.text
    alike = verdict_of(LAG, median, None, median)
    assert alike.short == alike.word == "vanishing"


def test_a_solved_identity_network_is_told_as_what_it_is() -> None:
    """The norm rises by 1.1 decades, and how surely cannot be told; the median sample stays level."""
    rng = np.random.default_rng(1)
    walk, median = np.cumsum(rng.normal(0, 0.05, 100)), 0.001 * LAG + rng.normal(0, 0.02, 100)
    norm = 0.011 * LAG + walk - walk[0] - (walk[-1] - walk[0]) * LAG / 99
    verdict = verdict_of(LAG, norm, None, median)
    assert verdict.fit is not None
    assert verdict.fit.rate == pytest.approx(1.1, abs=0.4)
    assert verdict.short == "not told apart (median stable)"


def test_a_sum_over_read_outs_has_no_word_and_no_figures() -> None:
    verdict = verdict_of(LAG, 0.0 * LAG, 0.0 * LAG)
    assert (verdict.word, verdict.fit, verdict.horizon, verdict.is_of_recurrence) == ("none", None, None, False)
    assert "read at 100 timesteps" in verdict.text
    one = verdict_of(LAG, 0.0 * LAG, np.where(LAG == 0, 0.0, ZERO))
    assert (one.word, one.readouts, one.is_of_recurrence) == ("stable", 1, True)


def test_what_lag_counts_from_is_said_of_a_file_that_does_not_know_each_samples_own() -> None:
    assert "older version" in verdict_of(LAG, -0.1 * LAG, own_lags=False).text
    assert "older version" not in verdict_of(LAG, -0.1 * LAG).text


@pytest.mark.parametrize(
    "y",
    [-0.1 * LAG, 0.0 * LAG, np.full(100, NONFINITE), np.where(LAG > 9, UNDERFLOW, -LAG), np.abs(LAG - 50) * 0.1],
)
def test_a_verdict_is_strict_json(y: np.ndarray) -> None:
    assert json.loads(json.dumps(verdict_of(LAG, y).as_dict(), allow_nan=False))["text"] == verdict_of(LAG, y).text


@pytest.mark.parametrize(("first_zero", "word"), [(99, "stable"), (60, "stable"), (50, "dead"), (20, "dead")])
def test_a_few_exact_zeros_at_the_end_are_not_dead(first_zero: int, word: str) -> None:
    """A flat curve whose end is exactly zero: the word follows the larger half, and the text names the zeros."""
    verdict = verdict_of(LAG, np.where(first_zero <= LAG, -np.inf, 0.0))
    assert verdict.word == word
    assert f"exactly zero from lag {first_zero} on" in verdict.text


@pytest.mark.parametrize(
    ("rate", "margin", "text"),
    [
        (-14.43, 0.3, "-14.43 ± 0.30"),
        (-14.43, 9.72, "-14.4 ± 9.7"),
        (15.3, 38.2, "+15 ± 38"),
        (-0.5678, 0.006, "-0.5678 ± 0.0060"),
        (3.0, 0.0, "+3 ± 0"),
        (-14.43, None, "-14.4"),
    ],
)
def test_a_rate_is_written_to_the_digit_of_its_interval(rate: float, margin: float | None, text: str) -> None:
    assert with_margin(rate, margin) == text
