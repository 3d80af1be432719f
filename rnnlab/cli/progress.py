"""How far a training has come, on stderr: one line that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from rnnlab.cli.streams import discard

if TYPE_CHECKING:
    from rnnlab.training import Progress

_EVERY = 10.0  # seconds between two lines off a terminal
_WIDE = 120


class ProgressLine:
    """Shows what a training says of itself; with `quiet`, or once nobody reads it, nothing."""

    def __init__(self, stream: TextIO, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._quiet, self._clock = stream, quiet, clock
        self._live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = clock()
        self._open = False

    def observe(self, event: Progress) -> None:
        """Show where the training is, if it is time to."""
        from rnnlab.report.terminal import progress_line

        if self._quiet or not (self._live or self._is_due(event)):
            return
        if self._live:
            # One column stays free: a full line would wrap on some terminals.
            self._write(f"\r{progress_line(event, self._width() - 1)}\x1b[K")
            self._open = True
        else:
            self._write(progress_line(event, _WIDE) + "\n")

    def say(self, message: str) -> None:
        """A message on a line of its own."""
        if not self._quiet:
            self.close()
            self._write(f"{message}\n")

    def close(self) -> None:
        """Take the progress line away."""
        if self._open:
            self._write("\r\x1b[K")
            self._open = False

    def _write(self, text: str) -> None:
        if self._quiet:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # its reader went away, its disk is full, or it is closed: the training goes on
            self._quiet = True
            discard(self._stream)

    def _is_due(self, event: Progress) -> bool:
        now = self._clock()
        due = now - self._shown >= _EVERY or event.update == event.updates
        self._shown = now if due else self._shown
        return due

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except (OSError, ValueError):
            return 80
