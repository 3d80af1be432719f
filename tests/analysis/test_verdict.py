"""The word of a verdict, its reason and its text."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlab.analysis.verdict import _with_error, verdict_of

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
        (np.where(LAG > 20, ZERO, -3.0), "vanishing"),
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
        (np.full(100, ZERO), "exactly zero at every timestep"),
        (np.full(100, UNDERFLOW), "below what the number format holds at every timestep"),
        (np.full(100, NONFINITE), "100 of 100 not finite"),
        (np.where(LAG > 50, NONFINITE, -0.5 * LAG), "49 of 100 not finite"),
        (np.where(LAG > 0, ZERO, -2.0), "exactly zero from lag 1 on"),
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


def test_a_bent_curve_is_said_to_be_no_exponential() -> None:
    bent = verdict_of(LAG, np.abs(LAG - 50) * 0.1)
    assert not bent.exponential
    assert "no exponential" in bent.text
    # Noise about a level has no R² to speak of and is flat all the same.
    assert verdict_of(LAG, np.random.default_rng(0).normal(0, 0.05, 100)).exponential
    assert verdict_of(LAG, -0.1 * LAG).exponential


def test_many_read_outs_are_said_and_one_is_not() -> None:
    assert "read at 100 timesteps" in verdict_of(LAG, 0.0 * LAG, 0.0 * LAG).text
    assert "read at" not in verdict_of(LAG, 0.0 * LAG, np.where(LAG == 0, 0.0, ZERO)).text


@pytest.mark.parametrize("y", [-0.1 * LAG, 0.0 * LAG, np.full(100, NONFINITE), np.where(LAG > 9, UNDERFLOW, -LAG)])
def test_a_verdict_is_strict_json(y: np.ndarray) -> None:
    assert json.loads(json.dumps(verdict_of(LAG, y).as_dict(), allow_nan=False))["text"] == verdict_of(LAG, y).text


@pytest.mark.parametrize(("first_zero", "word"), [(99, "stable"), (60, "stable"), (50, "vanishing"), (20, "vanishing")])
def test_a_few_exact_zeros_at_the_end_are_not_vanishing(first_zero: int, word: str) -> None:
    """A flat curve whose end is exactly zero: the word follows the larger half, and the text names the zeros."""
    verdict = verdict_of(LAG, np.where(first_zero <= LAG, -np.inf, 0.0))
    assert verdict.word == word
    assert f"exactly zero from lag {first_zero} on" in verdict.text


@pytest.mark.parametrize(
    ("rate", "error", "text"),
    [(-14.43, 0.3, "-14.4 ± 0.3"), (1.2, 2.0, "+1 ± 2"), (-0.5678, 0.006, "-0.568 ± 0.006"), (3.0, 0.0, "+3 ± 0")],
)
def test_a_rate_is_written_to_the_digit_of_its_error(rate: float, error: float, text: str) -> None:
    assert _with_error(rate, error) == text
