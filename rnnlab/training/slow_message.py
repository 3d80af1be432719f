"""A message about work that takes long, and none about work that does not."""

from __future__ import annotations

import threading
from collections.abc import Callable


class saying_if_slow:  # noqa: N801  reads as a statement
    """Say `message` once if the block takes longer than half a second.

    >>> with saying_if_slow(print, "compiling ..."):
    ...     pass  # quick enough to say nothing
    """

    def __init__(self, notify: Callable[[str], None], message: str) -> None:
        self._timer = threading.Timer(0.5, notify, [message])
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
