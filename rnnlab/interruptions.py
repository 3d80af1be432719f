"""Ctrl-C, SIGTERM and SIGHUP between two updates, not in the middle of one."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self

# SIGHUP is what a closed connection sends; Windows has none.
SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


class Interruptions:
    """Within the block, keeps the first signal until `let_in` is called; a second one acts at once.

    Half an update is no state to go on from: some weights have moved, others have not, and the batch is gone. What a
    signal does is left to the handlers that were there before. Outside the main thread signals are nobody's business
    here, and nothing is changed.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._waiting: int | None = None
        self._held = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                before = signal.getsignal(number)
                if callable(before):
                    self._before[number] = before
                    signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        # A signal that came too late for an update is passed on now, unless an error is on its way already.
        if not self._held:
            self.let_in()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._held:
            return
        if self._waiting is not None:
            self._before[number](number, frame)
        self._waiting = number

    def let_in(self) -> None:
        """Between two updates: hand on the signal that waits, if there is one."""
        if self._waiting is not None:
            number, self._waiting = self._waiting, None
            self._before[number](number, None)

    def hold(self) -> None:
        """While a run's last word is written: hear no signal any more."""
        self._held = True
