"""Ctrl-C, SIGTERM and a closed terminal as one interruption of a command that is writing runs."""

from __future__ import annotations

import math
import signal
import time
from typing import Any

_GRACE = 10.0  # seconds that an interrupted training has to write what is kept


class Terminated(KeyboardInterrupt):
    """SIGTERM came: an interruption like Ctrl-C, with another exit code."""


def listen() -> None:
    """Make of Ctrl-C, of SIGTERM and of a closed terminal one interruption: what is measured is kept."""
    heard = -math.inf

    def interrupt(number: int, frame: Any) -> None:
        nonlocal heard
        # Only the first counts: a second one would cut off the writing of what is kept. After a while another is
        # heard again, for the first may have come where Python drops exceptions (a finalizer).
        if (now := time.monotonic()) - heard > _GRACE:
            heard = now
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    from rnnlab.interruptions import SIGNALS

    for one in SIGNALS:
        if signal.getsignal(one) is not signal.SIG_IGN:  # as under nohup or in a script's background
            signal.signal(one, interrupt)


def code_of(interrupt: KeyboardInterrupt) -> int:
    """The exit code that an interruption leads to."""
    return 143 if isinstance(interrupt, Terminated) else 130
