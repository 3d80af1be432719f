"""The keys of run.json and what their values may be: what a reader can rely on. docs/RECORDS.md is the long form.

A key may be missing or null, and one that is not listed may be anything. Plain checks and no pydantic: thousands of
files are read at once, by commands that start fast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from rnnlab.wording import shortened

STATUSES = ("running", "completed", "diverged", "failed", "interrupted")
NOT_FINITE = ("inf", "-inf", "nan")
"""How a number that is not finite is written; `float()` reads it."""
_MOST = 1 << 63
_LONGEST_START = 20
_MOST_THREADS = 4096
"""A run is resumed and repeated with as many; some more than this, and no thread can be started any more."""

Kind = tuple[str, type | Callable[[Any], bool]]
"""What a value must be, in words, and its type or the test that it must pass."""


def fault_of(info: Mapping[str, Any]) -> str | None:
    """What is wrong with the content of a run.json: its first value of a wrong type; None if nothing is.

    >>> fault_of({"status": "completed", "result": {"loss": 0.5, "error": "nan"}, "added": [1]})
    >>> fault_of({"status": "completed", "result": {"loss": [0.5]}})
    'result.loss must be a number, not [0.5]'
    """
    if (status := info.get("status")) is not None and status not in STATUSES:
        return f"status must be one of {', '.join(STATUSES)}, not {shortened(repr(status))}"
    return _fault(info, KEYS, "")


def is_deep(value: Any, deepest: int) -> bool:
    """Whether mappings and lists are nested in a value more than `deepest` deep."""
    level = [value]
    for _ in range(deepest):
        inner = (item for outer in level for item in (outer.values() if isinstance(outer, dict) else outer))
        level = [item for item in inner if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def _fault(values: Mapping[str, Any], keys: Mapping[str, Any], before: str) -> str | None:
    for key, value in values.items():
        kind = keys.get(key)
        if kind is None or value is None:
            continue
        inner, (words, holds) = (kind, _MAPPING) if isinstance(kind, dict) else (None, kind)
        if not (isinstance(value, holds) if isinstance(holds, type) else holds(value)):
            return f"{before}{key} must be {words}, not {shortened(repr(value))}"
        if inner is not None and (fault := _fault(value, inner, f"{before}{key}.")):
            return fault
    return None


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return _is_whole(value) or (isinstance(value, str) and value in NOT_FINITE)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_MOST < value < _MOST


def _is_count(value: Any) -> bool:
    return _is_whole(value) and value >= 0


def _is_start(value: Any) -> bool:
    # In an older form it is clock ticks, as a text of digits.
    return _is_number(value) or (isinstance(value, str) and value.isdecimal() and len(value) <= _LONGEST_START)


def _is_list(value: Any, *types: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, types) for item in value)


def _is_mapping(value: Any, *types: type) -> bool:
    return isinstance(value, dict) and all(isinstance(item, types) for item in value.values())


def _are_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(item is None or isinstance(item, str) for item in value.values())


_MAPPING: Kind = ("a mapping", dict)
_TEXT: Kind = ("text", str)
_COUNT: Kind = ("a whole number, 0 or more", _is_count)
_THREADS: Kind = (f"a whole number, 0 to {_MOST_THREADS:,}", lambda value: _is_count(value) and value <= _MOST_THREADS)
_WHOLE: Kind = ("a whole number", _is_whole)
_NUMBER: Kind = ("a number", _is_number)
_BOOL: Kind = ("true or false", bool)
_WINDOW: Kind = ("two whole numbers", lambda value: _is_list(value, int) and len(value) == 2)

_RESULT = ("loss", "error", "eval_loss", "eval_error", "test_loss", "test_error", "grad_norm", "grad_norm_clipped")
_FIT = {
    **dict.fromkeys(("rate", "nats", "margin", "error", "r2", "change", "spread"), _NUMBER),
    "window": _WINDOW,
    "points": _COUNT,
}
_VERDICT = {
    **dict.fromkeys(("word", "short", "reason", "text"), _TEXT),
    **dict.fromkeys(("zeros", "underflow", "nonfinite", "readouts", "gone_from"), _COUNT),
    "fit": _FIT,
    "parts": ("a list of two fits", lambda value: _is_list(value, dict, type(None)) and len(value) == 2),
    "median": {"word": _TEXT, "rate": _NUMBER, "margin": _NUMBER},
    "horizon": _NUMBER,
    **dict.fromkeys(("exponential", "own_lags"), _BOOL),
}
KEYS: Mapping[str, Any] = {
    **dict.fromkeys(("name", "reason", "started", "ended", "identity", "sweep", "device", "dtype", "scan"), _TEXT),
    **dict.fromkeys(("fleet", "parameters", "updates", "seed"), _COUNT),
    "threads": _THREADS,
    "continued": ("a list of whole numbers", lambda value: _is_list(value, int)),
    "tf32": _BOOL,
    "process": {"pid": _WHOLE, "host": _TEXT, "start": ("a time", _is_start), "boot": ("a time", _is_start)},
    "versions": ("a mapping of packages to their versions", _are_texts),
    "machine": {"system": _TEXT, "processor": _TEXT},
    "git": {"commit": _TEXT, "dirty": _BOOL},
    "command": ("a list of texts", lambda value: _is_list(value, str)),
    "updates_per_second": _NUMBER,
    "files": ("a mapping of files to their bytes and sha256", lambda value: _is_mapping(value, dict)),
    "data": ("a list of files", lambda value: _is_list(value, dict, str)),
    "plugins": ("a list of mappings", lambda value: _is_list(value, dict)),
    "layers": ("a list of mappings", lambda value: _is_list(value, dict)),
    "watch": {"records": _COUNT, "not_verified": _COUNT},
    "chance": {"loss": _NUMBER, "error": _NUMBER},
    "result": {**dict.fromkeys(_RESULT, _NUMBER), "clip_rate": _NUMBER, "nonfinite_updates": _COUNT},
    "verdict": _VERDICT,
}
