"""A verdict in sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rnnlab.analysis.rate_interval import ROUNDING

if TYPE_CHECKING:
    from rnnlab.analysis.verdict import Verdict

_UNIT = "decades per 100 timesteps"


def text_of(verdict: Verdict) -> str:
    """The verdict in words, with its figures and everything that limits them."""
    parts = (_headline, _without_interval, _shape, _fall, _gone, _median, _left_out, _counted)
    return " ".join(sentence for part in parts if (sentence := part(verdict)))


def _headline(verdict: Verdict) -> str:
    if verdict.word in ("none", "dead"):
        return f"{'no verdict' if verdict.word == 'none' else verdict.word}: {verdict.reason}."
    if verdict.fit is None:
        return f"{verdict.word}."
    low, high = verdict.fit.window
    quality = "constant" if verdict.fit.r2 is None else f"R² {verdict.fit.r2:.3f}"
    rate = with_margin(verdict.fit.rate, verdict.fit.margin)
    return f"{verdict.word}: {rate} {_UNIT} ({quality}, lags {low} to {high})."


def _without_interval(verdict: Verdict) -> str:
    """What a word stands on that its interval does not give."""
    line = verdict.fit
    if line is None or verdict.word in ("mixed", "dead"):
        return ""
    missing = "its increments are too few, or too much alike from one to the next, for an interval of that rate"
    told = [missing] if line.margin is None else []
    if verdict.word in ("vanishing", "exploding") and verdict.gone_from is None and not line.is_beyond_a_decade:
        told.insert(0, f"it {'falls' if line.rate < 0 else 'rises'} at nearly every timestep back")
    return f"{'; '.join(told)}.".capitalize() if told else ""


def _shape(verdict: Verdict) -> str:
    if verdict.parts is None:
        return ""
    said = [f"{line.rate:+.3g} over lags {line.window[0]} to {line.window[1]}" for line in verdict.parts if line]
    rates = f", and its rate is {' and '.join(said)}" if said else ""
    return f"It is no exponential{rates}: trust the curve."


def _fall(verdict: Verdict) -> str:
    if verdict.word in ("none", "dead"):
        return ""
    if verdict.horizon is not None:
        return f"It falls to 1% of its largest value within {verdict.horizon:.1f} timesteps."
    return "It does not fall to 1% of its largest value." if verdict.word == "stable" else ""


def _gone(verdict: Verdict) -> str:
    # Where it is dead the reason says it already.
    if verdict.gone_from is None or verdict.word in ("none", "dead"):
        return ""
    kinds = {(True, False): "exactly zero", (False, True): "below what the number format holds"}
    kind = kinds.get((verdict.zeros > 0, verdict.underflow > 0), "zero or underflow")
    return f"It is {kind} from lag {verdict.gone_from} on."


def _median(verdict: Verdict) -> str:
    if verdict.median is None or not verdict.median_differs:
        return ""
    rate = verdict.median.rate
    told = "" if rate is None else f" ({with_margin(rate, verdict.median.margin)})"
    told = f"the median sample is {verdict.median.word}{told}"
    return f"That is the norm over the batch, which its largest samples make; {told}."


def _left_out(verdict: Verdict) -> str:
    counts = {"exactly zero": verdict.zeros, "underflow": verdict.underflow, "not finite": verdict.nonfinite}
    listed = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return f"Not in the fit: {listed}." if listed and verdict.fit is not None else ""


def _counted(verdict: Verdict) -> str:
    return "" if verdict.own_lags else "Lags count from the last timestep: the file is of an older version."


def with_margin(rate: float, margin: float | None) -> str:
    """A rate to the second digit of its interval: -14.4 ± 9.7; alone where there is no interval."""
    if margin is None:
        return f"{rate:+.3g}"
    if margin <= 100 * ROUNDING:
        return f"{rate:+.4g} ± 0"
    digits = max(0, 1 - math.floor(math.log10(margin)))
    return f"{rate:+.{digits}f} ± {margin:.{digits}f}"
