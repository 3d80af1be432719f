"""The columns of a comparison: short names of keys, labels of groups, headings and cells, and all figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rnnlab.analysis.intervals import Interval
from rnnlab.analysis.verdict import WORDS
from rnnlab.compare.axes import Axis
from rnnlab.compare.group import Group, MeasuredGroup
from rnnlab.report.formatting import format_interval, format_number, format_setting, format_signed

UNFINISHED = ("running", "interrupted", "failed")
_NO_INTERVAL = Interval(math.nan, None, None)
_ENDS = {"rate": "middle", "low": "low", "high": "high"}


@dataclass(frozen=True)
class Heading:
    """One column of a comparison: its short name, its long one, and a group's cell in it.

    >>> import rnnlab
    >>> from rnnlab.report.headings import HEADINGS
    >>> measured = rnnlab.load_runs("runs").group_by("model.cell").measure()
    >>> heading = HEADINGS[3]
    >>> heading.name, heading.meaning, heading.cell(measured[0])
    ('rate', 'decades per 100 timesteps, the mean over seeds', '-1.90')
    """

    name: str
    meaning: str
    cell: Callable[[MeasuredGroup], str]


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """The shortest endings of dotted keys that distinguish them; `.name` is left out."""
    parts = {key: key.removesuffix(".name").split(".") for key in keys}
    names = {}
    for key, mine in parts.items():
        for n in range(1, len(mine) + 1):
            ending = mine[-n:]
            if not any(other[-n:] == ending for other_key, other in parts.items() if other_key != key):
                break
        names[key] = ".".join(ending)
    return names


def values_of(group: Group | MeasuredGroup, axes: Sequence[Axis]) -> list[str]:
    """A group's values along the axes, as texts."""
    return [format_setting(axis.value(group.values)) for axis in axes]


def label(group: Group | MeasuredGroup, axes: Sequence[Axis]) -> str:
    """The name of a group: its values along the axes."""
    return ", ".join(values_of(group, axes)) or "all runs"


def numbers(group: MeasuredGroup) -> dict[str, Any]:
    """All figures of a group, for programs."""
    rate, success = group.rate or _NO_INTERVAL, group.success or _NO_INTERVAL
    errors = [*group.each("error").values()]
    statuses = {status: group.statuses[status] for status in ("completed", "diverged", *UNFINISHED)}
    verdicts = {word.replace(" ", "_"): group.verdicts[word] for word in WORDS}
    updates = [reading.update for reading in group.measured]
    return {
        **group.values,
        "runs": len(group.runs),
        **statuses,
        "seeds": len(group.seeds),
        "ended": group.ended,
        "successes": len(group.solved),
        **{f"success_{name}": getattr(success, at) for name, at in _ENDS.items()},
        **{f"rate_{name}": getattr(rate, at) for name, at in (("mean", "middle"), ("low", "low"), ("high", "high"))},
        **verdicts,
        "horizon_median": group.median("horizon"),
        "effective_lag_median": group.median("effective_lag"),
        "clip_rate_median": group.median("clip_rate"),
        "error_median": group.median("error"),
        "error_min": min(errors, default=None),
        "error_max": max(errors, default=None),
        "update_min": min(updates, default=None),
        "update_max": max(updates, default=None),
    }


def _runs(group: MeasuredGroup) -> str:
    rest = len(group.runs) - group.statuses["completed"]
    return f"{len(group.runs)} ({rest})" if rest else f"{len(group.runs)}"


def _success(group: MeasuredGroup) -> str:
    return f"{len(group.solved)}/{group.ended}" if group.ended else "-"


def _rate(group: MeasuredGroup) -> str:
    return "-" if group.rate is None else format_signed(group.rate.middle)


def _interval(group: MeasuredGroup) -> str:
    return format_interval(group.rate)


def horizon(group: MeasuredGroup) -> str:
    """The median horizon; `>99` where the gradient does not fall to 1% within 99 timesteps."""
    middle = group.median("horizon")
    if middle is None or math.isfinite(middle):
        return format_number(middle)
    return f">{max(int(reading.curve[0].max()) for reading in group.measured)}"


def _effective_lag(group: MeasuredGroup) -> str:
    return format_number(group.median("effective_lag"))


def _error(group: MeasuredGroup) -> str:
    return format_number(group.median("error"))


def _clipped(group: MeasuredGroup) -> str:
    rate = group.median("clip_rate")
    return "-" if rate is None else f"{rate:.0%}"


HEADINGS = (
    Heading("runs", "runs; in brackets, how many of them have not completed", _runs),
    Heading("seeds", "different seeds", lambda group: str(len(group.seeds))),
    Heading("success", "runs that succeeded, of those that have ended", _success),
    Heading("rate", "decades per 100 timesteps, the mean over seeds", _rate),
    Heading("95%", "t interval of the rate; below 3 seeds, the points", _interval),
    Heading("horizon", "timesteps until 1% is left, median", horizon),
    Heading("lag", "effective lag: mean lag, weighted by the norm", _effective_lag),
    Heading("clipped", "share of updates or entries that the clip changed", _clipped),
    Heading("error", "final error on held-out data, median", _error),
)
"""The columns of a comparison after those of its keys."""
