"""The verdict on a curve of log10 |dL/dh_t| against lag: a word, and the figures that it follows from.

docs/RECORDS.md gives the definitions at length, with their sources.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnlab.analysis.curve import DECADES_OF_A_TREND, FEWEST_POINTS, Fit, fit, horizon, ordered
from rnnlab.analysis.curve_shape import break_of
from rnnlab.analysis.verdict_text import text_of
from rnnlab.display import InNotebook

Word = Literal["vanishing", "exploding", "stable", "not told apart", "mixed", "dead", "none"]
WORDS: tuple[Word, ...] = ("vanishing", "stable", "exploding", "not told apart", "mixed", "dead")
"""Every word that says something of a curve, in the order of tables; `none` is where nothing can be said."""

FEWEST_OF_ONE_SIGN = 20
"""Increments; all of one sign are these in 2^-19 of driftless random walks (Dixon and Mood 1946), and in 1 of 30 where
the increments have an autocorrelation of 0.8. Of every ten more, one may have the other sign: that is rarer still."""
POOR_R2 = 0.9
"""A curve that moves by a decade or more, and whose line explains less than this, may be no exponential."""


@dataclass(frozen=True)
class MedianPart:
    """What is said of the median sample: its own word and rate, beside those of the norm over the batch.

    >>> from rnnlab.analysis.verdict import verdict_of
    >>> lags = range(50)
    >>> verdict = verdict_of(lags, [0.1 * lag for lag in lags], log10_median=[-0.1 * lag for lag in lags])
    >>> verdict.median.word, round(verdict.median.rate, 1), verdict.short
    ('vanishing', -10.0, 'exploding (median vanishing)')
    """

    word: Word
    rate: float | None
    margin: float | None


@dataclass(frozen=True)
class Verdict(InNotebook):
    """One word for a curve, the figures that it follows from, and how many points they leave out.

    >>> from rnnlab.analysis.verdict import verdict_of
    >>> verdict = verdict_of(range(50), [-0.1 * lag for lag in range(50)])
    >>> verdict.word, round(verdict.horizon, 1), verdict.exponential
    ('vanishing', 20.0, True)
    """

    word: Word
    reason: str
    """Why there is no word, or why the gradient is dead; empty otherwise."""
    fit: Fit | None
    horizon: float | None
    gone_from: int | None
    """The lag from which on the gradient is zero or underflow wherever it was recorded; None if it never is."""
    zeros: int
    underflow: int
    nonfinite: int
    readouts: int | None
    """Lags at which the loss is read; from two on each norm sums read-outs. None where that is not known."""
    parts: tuple[Fit | None, Fit | None] | None = None
    """Of a mixed curve: the lines before and after the lag at which it turns or falls."""
    median: MedianPart | None = None
    """The median sample, where it is known."""
    own_lags: bool = True
    """Whether lag counts from each sample's own read-out, and not from the longest sequence's last timestep."""

    @property
    def is_of_recurrence(self) -> bool:
        """Whether rate, horizon and effective lag say something of the recurrence: one read-out enters a curve."""
        return self.readouts is None or self.readouts < 2

    @property
    def exponential(self) -> bool:
        """Whether a rate describes the curve."""
        return self.word != "mixed"

    @property
    def median_differs(self) -> bool:
        """Whether something else is said of the median sample than of the norm over the batch."""
        known = {"vanishing", "exploding", "stable", "mixed", "dead"}
        return self.median is not None and self.word != "none" and self.median.word in known - {self.word}

    @property
    def short(self) -> str:
        """The word, with that of the median sample where it differs."""
        return short_word(self.word, self.median.word if self.median is not None and self.median_differs else None)

    @property
    def text(self) -> str:
        """The verdict in words, with its figures and everything that limits them."""
        return text_of(self)

    def as_dict(self) -> dict[str, Any]:
        """The verdict as run.json holds it."""
        further = {"short": self.short, "exponential": self.exponential, "text": self.text}
        return {**asdict(self), "parts": None if self.parts is None else list(map(_plain, self.parts)), **further}


def short_word(word: str, median: str | None) -> str:
    """A verdict in a cell of a table."""
    return f"{word} (median {median})" if median else word


def verdict_of(
    lag: ArrayLike,
    log10_norm: ArrayLike,
    log10_direct: ArrayLike | None = None,
    log10_median: ArrayLike | None = None,
    *,
    own_lags: bool = True,
) -> Verdict:
    """The verdict on one curve. The word follows from the 95% interval of the change of the line over its window:

    vanishing: all of it is at -1 decade or less; or the line falls by that much and so do 20 increments or more, nearly
        all of them; or beyond some lag the gradient is underflow;
    exploding: likewise, at +1 decade or more;
    stable: all of it is within these, or the whole curve stays within a decade;
    not told apart: neither, or there is no interval;
    mixed: the curve is no exponential (see `break_of`);
    dead: the gradient is exactly zero from some lag on, over half of the timesteps or more;
    none: nothing can be said, and `reason` says why.
    """
    x, y = ordered(lag, log10_norm)
    readouts = None if log10_direct is None else int((~np.isneginf(np.asarray(log10_direct, float))).sum())
    counts = {"zeros": np.isneginf(y), "underflow": np.isnan(y), "nonfinite": np.isposinf(y)}
    common: dict[str, Any] = {name: int(points.sum()) for name, points in counts.items()}
    common |= {"readouts": readouts, "own_lags": own_lags, "gone_from": _gone_from(x, y)}
    if readouts is not None and readouts > 1:
        return Verdict("none", _summed(readouts), None, None, **common)
    line = fit(x, y)
    word, reason = _word_and_reason(x, y, line)
    return Verdict(
        word=word,
        reason=reason,
        fit=line,
        horizon=horizon(x, y),
        parts=_parts(x, y) if word == "mixed" else None,
        median=None if log10_median is None else _median_part(lag, log10_median),
        **common,
    )


def _median_part(lag: ArrayLike, log10_median: ArrayLike) -> MedianPart:
    x, y = ordered(lag, log10_median)
    line = fit(x, y)
    rate, margin = (None, None) if line is None else (line.rate, line.margin)
    return MedianPart(_word_and_reason(x, y, line)[0], rate, margin)


def _summed(readouts: int) -> str:
    return (
        f"the loss is read at {readouts} timesteps, so each norm sums what comes back from all later ones, and their "
        "rate is none of the recurrence's. `rnnlab probe` with one read-out (`--set task.loss=last`), or with "
        "`--which lyapunov`, answers that"
    )


def _word_and_reason(x: NDArray[np.float64], y: NDArray[np.float64], line: Fit | None) -> tuple[Word, str]:
    points, finite, overflow = len(y), int(np.isfinite(y).sum()), int(np.isposinf(y).sum())
    gone = _gone_from(x, y)
    if overflow:
        rises = line is not None and _word_of(y[np.isfinite(y)], line) == "exploding"
        return ("exploding", "") if rises else ("none", f"{overflow} of {points} not finite")
    if not points:
        return "none", "no gradient was recorded"
    if np.isneginf(y).all():
        return "dead", "the gradient is exactly zero at every timestep"
    if not finite:
        return "none", "the gradient is below what the number format holds at every timestep"
    if gone is not None and np.isnan(y[x >= gone]).any():
        return "vanishing", ""
    if gone is not None and (line is None or 2 * (x >= gone).sum() >= points):
        return "dead", f"the gradient is exactly zero from lag {gone} on: nothing comes back through the recurrence"
    if line is None:
        return "none", f"{finite} of {points} points are numbers, and a fit takes {FEWEST_POINTS}"
    return ("mixed" if _is_mixed(x, y, line) else _word_of(y[np.isfinite(y)], line)), ""


def _word_of(y: NDArray[np.float64], line: Fit) -> Word:
    """What the interval of the line's change says, or the signs of all increments of the finite points y."""
    low, high = line.change_interval or (-math.inf, math.inf)
    signed = _sign_of_all(y) if abs(line.change) >= DECADES_OF_A_TREND else 0
    if high <= -DECADES_OF_A_TREND or signed < 0:
        return "vanishing"
    if low >= DECADES_OF_A_TREND or signed > 0:
        return "exploding"
    within = low > -DECADES_OF_A_TREND and high < DECADES_OF_A_TREND
    return "stable" if within or line.spread < DECADES_OF_A_TREND else "not told apart"


def _sign_of_all(y: NDArray[np.float64]) -> int:
    """The sign that the increments have, but for the few that FEWEST_OF_ONE_SIGN allows; 0 where there is none."""
    steps = np.diff(y)
    exceptions = (len(steps) - FEWEST_OF_ONE_SIGN) // 10
    return next((sign for sign in (-1, 1) if (sign * steps <= 0).sum() <= exceptions), 0)


def _is_mixed(x: NDArray[np.float64], y: NDArray[np.float64], line: Fit) -> bool:
    poor = line.r2 is not None and line.r2 < POOR_R2 and line.spread >= DECADES_OF_A_TREND
    finite = np.isfinite(y)
    return poor and break_of(x[finite], y[finite]) is not None


def _parts(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[Fit | None, Fit | None]:
    finite = np.isfinite(y)
    x, y = x[finite], y[finite]
    ends = break_of(x, y)
    assert ends is not None
    return fit(x[: ends[0] + 1], y[: ends[0] + 1]), fit(x[ends[1] :], y[ends[1] :])


def _gone_from(x: NDArray[np.float64], y: NDArray[np.float64]) -> int | None:
    alive = np.flatnonzero(np.isfinite(y) | np.isposinf(y))
    return int(x[alive[-1] + 1]) if alive.size and alive[-1] + 1 < len(x) else None


def _plain(line: Fit | None) -> dict[str, Any] | None:
    return None if line is None else asdict(line)
