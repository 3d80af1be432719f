"""Ctrl-C, SIGTERM and a closed terminal as one interruption of a command that is writing runs."""

from __future__ import annotations

import math
import signal
import threading
import time
from typing import Any

_GRACE = 10.0  # seconds that an interrupted training gets to write its last rows and checkpoint


class Terminated(KeyboardInterrupt):
    """SIGTERM came: an interruption like Ctrl-C, with another exit code.

    >>> from rnnlab.cli.signals import exit_code, Terminated
    >>> exit_code(Terminated()), exit_code(KeyboardInterrupt())
    (143, 130)
    """


_raised: list[KeyboardInterrupt] = []
"""The interruptions of this command so far."""


def note_interrupts() -> None:
    """From now on remember a Ctrl-C that is raised, whatever a library makes of it (an ImportError, say)."""
    _raised.clear()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler and _in_main_thread():
        signal.signal(signal.SIGINT, lambda number, frame: _raise(number))


def interruption() -> KeyboardInterrupt | None:
    """The interruption that was raised in this command, or None."""
    return _raised[0] if _raised else None


def ignore_interrupts() -> None:
    """Ignore Ctrl-C, because the command is done and only the interpreter has still to end."""
    if _in_main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _raise(number: int) -> None:
    interrupt = KeyboardInterrupt() if number == signal.SIGINT else Terminated()
    _raised.append(interrupt)
    raise interrupt


def install_handlers() -> None:
    """Let Ctrl-C, SIGTERM and a closed terminal raise KeyboardInterrupt, so that a training can save its state."""
    last = -math.inf

    def interrupt(number: int, frame: Any) -> None:
        nonlocal last
        # Only the first counts: a second one would interrupt the last writes. After a while another counts
        # again, for the first may have come where Python drops exceptions (a finalizer).
        if (now := time.monotonic()) - last > _GRACE:
            last = now
            _raise(number)

    from rnnlab.interruptions import SIGNALS

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup or in a script's background
            signal.signal(number, interrupt)


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """The exit code that an interruption leads to."""
    return 143 if isinstance(interrupt, Terminated) else 130
