"""Delivers Ctrl-C, SIGTERM and SIGHUP between two updates, not in the middle of one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

# SIGHUP is what a closed connection sends; Windows has none.
SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
_MOMENT = 0.5
"""Seconds that an update may go on after a signal before something is said."""
_FINISHING = "finishing this update; a second signal ends it at once"


class Interruptions:
    """Within the block, the first signal waits until `deliver` is called; a second one acts at once.

    A training that stops in the middle of an update cannot be resumed: some weights have changed, others have not, and
    the batch is lost. What a signal does is decided by the handlers that were installed before. Python delivers signals
    only to the main thread; in another thread this changes nothing.

    `notify` gets a message where the update goes on for more than a moment after the signal.

    >>> try:
    ...     with Interruptions() as interruptions:
    ...         signal.raise_signal(signal.SIGINT)
    ...         print("the update is finished")
    ...         interruptions.deliver()
    ... except KeyboardInterrupt:
    ...     print("then the training ends")
    the update is finished
    then the training ends
    """

    def __init__(self, notify: Callable[[str], None] | None = None) -> None:
        self._notify = notify
        # The handler only sets an event. To start a thread there could wait for a lock that the interrupted code holds.
        self._came, self._settled = threading.Event(), threading.Event()
        self._before: dict[int, Any] = {}
        self._pending: int | None = None
        self._blocked = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                before = signal.getsignal(number)
                if callable(before):
                    self._before[number] = before
                    signal.signal(number, self._handle)
            if self._notify is not None:
                threading.Thread(target=self._watch, args=(self._notify,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._settled.set()
        self._came.set()
        # A signal that came after the last update is delivered now, unless an error is on its way already.
        if not self._blocked:
            self.deliver()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._blocked:
            return
        if self._pending is not None:
            self._settled.set()
            self._before[number](number, frame)
        self._pending = number
        self._came.set()

    def _watch(self, notify: Callable[[str], None]) -> None:
        self._came.wait()
        if not self._settled.wait(_MOMENT):
            notify(_FINISHING)

    def deliver(self) -> None:
        """Between two updates: call the handler of the pending signal, if there is one."""
        if self._pending is not None:
            number, self._pending = self._pending, None
            self._settled.set()
            self._before[number](number, None)

    def block(self) -> None:
        """Ignore every signal from now on, because the run's last rows and checkpoint are being written."""
        self._blocked = True
