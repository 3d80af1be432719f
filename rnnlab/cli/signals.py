"""Ctrl-C, SIGTERM and a closed terminal as one interruption of a command that is writing runs."""

from __future__ import annotations

import math
import signal
import time
from typing import Any

_GRACE = 10.0  # seconds that an interrupted training gets to write its last rows and checkpoint


class Terminated(KeyboardInterrupt):
    """SIGTERM came: an interruption like Ctrl-C, with another exit code.

    >>> from rnnlab.cli.signals import exit_code, Terminated
    >>> exit_code(Terminated()), exit_code(KeyboardInterrupt())
    (143, 130)
    """


def install_handlers() -> None:
    """Let Ctrl-C, SIGTERM and a closed terminal raise KeyboardInterrupt, so that a training can save its state."""
    last = -math.inf

    def interrupt(number: int, frame: Any) -> None:
        nonlocal last
        # Only the first counts: a second one would interrupt the last writes. After a while another counts
        # again, for the first may have come where Python drops exceptions (a finalizer).
        if (now := time.monotonic()) - last > _GRACE:
            last = now
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    from rnnlab.interruptions import SIGNALS

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup or in a script's background
            signal.signal(number, interrupt)


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """The exit code that an interruption leads to."""
    return 143 if isinstance(interrupt, Terminated) else 130
