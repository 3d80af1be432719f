"""What rounding does to the readings of a run, where it does something that can be seen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnlab.analysis.verdict import Verdict
from rnnlab.errors import RnnlabError

if TYPE_CHECKING:
    from rnnlab.runs.run import Run

DIGITS = {"float32": 24 * math.log10(2), "float64": 53 * math.log10(2)}
"""Decades between 1 and the rounding of a number format."""
_SATURATING = 0.5
"""Share of activations on the flat part of their nonlinearity from which on the rate is theirs."""
_SEEN = 0.1
"""Decades per 100 timesteps that rounding has to do to a rate, to be said."""


def rounding_notes(run: Run, verdict: Verdict, update: int) -> Iterator[str]:
    """What a reader of this verdict has to know about rounding.

    A perturbation of the state grows forward in time as the adjoint grows backward, by 10^(rate lag / 100), so that
    beyond DIGITS decades the states, and with them the single points of the curve, are those of this machine's
    rounding; their mean growth is not (Oseledets 1968). And a saturated tanh has the slope 1 - h^2, of which h, rounded
    to 2^-24, leaves few digits in float32.
    """
    line, digits = verdict.fit, DIGITS.get(str(run.info.get("dtype")))
    if line is None or digits is None or not _is_curved(run):
        return
    if line.interval is not None and line.interval[0] > 0 and line.change > digits:
        yield (
            f"from lag {100 * digits / line.rate:.0f} on this curve depends on rounding, since the network is chaotic: "
            "another machine or number of threads gives other points there. The rate does not depend on it"
        )
    slope = 10 ** (line.rate / 100) / max(_last(run, "recurrent_sigma_max", update) or 1.0, 1.0)
    lost = 100 * math.log10(1 + 2.0**-24 / slope)
    if digits < 10 and (_last(run, "saturation", update) or 0.0) > _SATURATING and lost > _SEEN:
        yield (
            "most activations are saturated, and float32 knows the slope 1 - h² of such a unit badly: this rate may be "
            f"off by {lost:.2g} decades per 100 timesteps; with dtype float64 it is not"
        )


def _is_curved(run: Run) -> bool:
    """Whether the slope of the recurrence depends on the state smoothly, as it does not for linear and relu units."""
    try:
        return run.settings.get("model.nonlinearity") not in ("linear", "relu")
    except RnnlabError:
        return False


def _last(run: Run, column: str, update: int) -> float | None:
    """The last value of a column of metrics.csv up to an update."""
    try:
        known = run.metrics[run.metrics["update"] <= update][column].dropna()
    except RnnlabError:
        return None
    return float(known.iloc[-1]) if len(known) else None
