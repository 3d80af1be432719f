"""A clock that jumps: what `time.time` and `datetime.now` say of this process, by so many seconds."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

_true = time.time


def jump(seconds: float) -> None:
    """Set the time of day forward, or back; clocks that only go forward (`monotonic`, `perf_counter`) stay right."""
    from rnnlab.runs import run_json
    from rnnlab.runs.claims import Claims

    class Jumped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=seconds)

    def jumped() -> float:
        return _true() + seconds

    time.time = jumped
    # Who keeps the clock in a default or under a name of its own.
    run_json.datetime = Jumped  # type: ignore[attr-defined]
    assert Claims.__init__.__kwdefaults__ is not None
    Claims.__init__.__kwdefaults__["clock"] = jumped
