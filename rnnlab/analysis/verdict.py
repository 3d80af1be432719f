"""The verdict on a curve of log10 |dL/dh_t| against lag: vanishing, exploding or stable, with its figures.

docs/RECORDS.md gives the definitions at length, with their sources.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnlab.analysis.curve import CONSTANT, FEWEST_POINTS, Fit, fit, horizon, ordered

Word = Literal["vanishing", "exploding", "stable", "none"]

# A fitted line that moves by less than this over the whole window is called stable.
DECADES_OF_A_TREND = 1.0
# A curve that moves by a decade or more and whose line explains less than this is called not exponential.
POOR_R2 = 0.9


@dataclass(frozen=True)
class Verdict:
    """One word for a curve, the figures that it follows from, and how many points they leave out.

    >>> from rnnlab.analysis.verdict import verdict_of
    >>> verdict = verdict_of(range(50), [-0.1 * lag for lag in range(50)])
    >>> verdict.word, round(verdict.horizon, 1), verdict.exponential
    ('vanishing', 20.0, True)
    """

    word: Word
    reason: str
    """Why there is no word; empty where there is one."""
    fit: Fit | None
    horizon: float | None
    gone_from: int | None
    """The lag from which on the gradient is zero or underflow wherever it was recorded; None if it never is."""
    zeros: int
    underflow: int
    nonfinite: int
    readouts: int | None
    """Lags at which the loss is read; from two on each norm sums read-outs. None where that is not known."""
    own_lags: bool = True
    """Whether lag counts from each sample's own read-out, and not from the longest sequence's last timestep."""

    @property
    def is_of_recurrence(self) -> bool:
        """Whether rate, horizon and effective lag say something of the recurrence: one read-out enters a curve."""
        return self.readouts is None or self.readouts < 2

    @property
    def exponential(self) -> bool:
        """Whether a rate describes the curve: it moves by less than a decade, or lies on a line in log10."""
        line = self.fit
        return line is None or line.r2 is None or line.spread < DECADES_OF_A_TREND or line.r2 >= POOR_R2

    @property
    def text(self) -> str:
        """The verdict in words, with its figures and everything that limits them."""
        sentences = [self._headline(), self._fall(), self._gone(), self._shape(), self._left_out(), self._counted()]
        return " ".join(sentence for sentence in sentences if sentence)

    def as_dict(self) -> dict[str, Any]:
        """The verdict as run.json holds it."""
        return {**asdict(self), "exponential": self.exponential, "text": self.text}

    def _headline(self) -> str:
        word = f"no verdict: {self.reason}" if self.word == "none" else self.word
        if self.word == "none" or self.fit is None:
            return f"{word}."
        low, high = self.fit.window
        quality = "constant" if self.fit.r2 is None else f"R² {self.fit.r2:.3f}"
        rate = f"{_with_error(self.fit.rate, self.fit.error)} decades per 100 timesteps"
        return f"{word}: {rate} ({quality}, lags {low} to {high})."

    def _fall(self) -> str:
        if self.word == "none":
            return ""
        if self.horizon is not None:
            return f"It falls to 1% of its largest value within {self.horizon:.1f} timesteps."
        return "It does not fall to 1% of its largest value." if self.word == "stable" else ""

    def _gone(self) -> str:
        # Without a fit the reason says it already.
        if self.gone_from is None or self.word == "none":
            return ""
        kinds = {(True, False): "exactly zero", (False, True): "below what the number format holds"}
        kind = kinds.get((self.zeros > 0, self.underflow > 0), "zero or underflow")
        return f"It is {kind} from lag {self.gone_from} on."

    def _shape(self) -> str:
        return "" if self.exponential else "It is no exponential: trust the curve, not the rate."

    def _counted(self) -> str:
        return "" if self.own_lags else "Lags count from the last timestep: the file is of an older version."

    def _left_out(self) -> str:
        counts = {"exactly zero": self.zeros, "underflow": self.underflow, "not finite": self.nonfinite}
        listed = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
        return f"Not in the fit: {listed}." if listed and self.fit is not None else ""


def verdict_of(
    lag: ArrayLike,
    log10_norm: ArrayLike,
    log10_direct: ArrayLike | None = None,
    log10_median: ArrayLike | None = None,
    *,
    own_lags: bool = True,
) -> Verdict:
    """The verdict on one curve. With b (lag_max - lag_min) the change of the fitted line across its window:

    vanishing: the change is -1 decade or less, or beyond some lag the gradient is underflow, or exactly zero for half
        of the timesteps or more (a few zeros at the end can be a relu that a blank input switches off);
    exploding: the change is +1 decade or more;
    stable: neither;
    none: nothing can be said, and `reason` says why.
    """
    x, y = ordered(lag, log10_norm)
    readouts = None if log10_direct is None else int((~np.isneginf(np.asarray(log10_direct, float))).sum())
    summed = readouts is not None and readouts > 1
    line = None if summed else fit(x, y)
    word: Word = "none"
    reason = _summed(readouts)
    if not summed:
        word, reason = _word_and_reason(x, y, line)
    return Verdict(
        word=word,
        reason=reason,
        fit=line,
        horizon=None if summed else horizon(x, y),
        gone_from=_gone_from(x, y),
        zeros=int(np.isneginf(y).sum()),
        underflow=int(np.isnan(y).sum()),
        nonfinite=int(np.isposinf(y).sum()),
        readouts=readouts,
        own_lags=own_lags,
    )


def _summed(readouts: int | None) -> str:
    return (
        f"the loss is read at {readouts} timesteps, so each norm sums what comes back from all later ones, and their "
        "rate is none of the recurrence's. `rnnlab probe` with one read-out, or with `lyapunov`, answers that"
    )


def _word_and_reason(x: NDArray[np.float64], y: NDArray[np.float64], line: Fit | None) -> tuple[Word, str]:
    points, finite, overflow = len(y), int(np.isfinite(y).sum()), int(np.isposinf(y).sum())
    change = line.change if line else 0.0
    gone = _gone_from(x, y)
    if overflow:
        return ("exploding", "") if change >= DECADES_OF_A_TREND else ("none", f"{overflow} of {points} not finite")
    if not finite:
        return "none", _reason_without_numbers(y)
    if gone is not None and (np.isnan(y[x >= gone]).any() or (line and 2 * (x >= gone).sum() >= points)):
        return "vanishing", ""
    if gone is not None and line is None:
        return "none", f"the gradient is exactly zero from lag {gone} on, so nothing comes back through the recurrence"
    if line is None:
        return "none", f"{finite} of {points} points are numbers, and a fit takes {FEWEST_POINTS}"
    if abs(change) < DECADES_OF_A_TREND:
        return "stable", ""
    return ("vanishing" if change < 0 else "exploding"), ""


def _with_error(rate: float, error: float) -> str:
    """A figure to the digit of its error: -14.4 ± 0.3."""
    if error <= CONSTANT:
        return f"{rate:+.4g} ± 0"
    digits = max(0, -math.floor(math.log10(error)))
    return f"{rate:+.{digits}f} ± {error:.{digits}f}"


def _reason_without_numbers(y: NDArray[np.float64]) -> str:
    if not len(y):
        return "no gradient was recorded"
    if np.isneginf(y).all():
        return "the gradient is exactly zero at every timestep"
    return "the gradient is below what the number format holds at every timestep"


def _gone_from(x: NDArray[np.float64], y: NDArray[np.float64]) -> int | None:
    alive = np.flatnonzero(np.isfinite(y) | np.isposinf(y))
    return int(x[alive[-1] + 1]) if alive.size and alive[-1] + 1 < len(x) else None
