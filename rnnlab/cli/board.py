"""How far a sweep has come, on stderr: a table that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self, TextIO

from rnnlab.cli.streams import discard

if TYPE_CHECKING:
    from rich.live import Live

    from rnnlab.jobs import Event, Job
    from rnnlab.report.board import Board
    from rnnlab.sweep_results import SweepEvent

_EVERY = 10.0  # seconds between two lines off a terminal
_OFTEN = 0.2  # on one


class LiveBoard:
    """Shows a board while a sweep runs; with `quiet`, nothing. A failure is said at once, on its own line."""

    def __init__(
        self, board: Board, stream: TextIO, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.board, self._stream, self._quiet, self._clock = board, stream, quiet, clock
        self._animated = not quiet and stream.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = clock()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def on_event(self, event: SweepEvent) -> None:
        """Take account of it, and show where the sweep is if it is time to."""
        self.board.add(event)
        if self._quiet:
            return
        if event.status is not None:
            self._say(self.board.opening(event.status, event.planned))
        if event.event is not None and event.job is not None and (message := _message(event.event, event.job)):
            self._say(message)
        now, every = self._clock(), _OFTEN if self._animated else _EVERY
        if now - self._shown >= every:
            self._shown = now
            self._show()

    def _show(self) -> None:
        if not self._animated:
            self._say(self.board.line())
            return
        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            console = Console(file=self._stream, highlight=False)
            self._live = Live(console=console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(self.board.table(), refresh=True)

    def _say(self, message: str) -> None:
        if self._live is not None:
            self._live.console.print(message, markup=False, soft_wrap=True)
            return
        try:
            self._stream.write(f"{message}\n")
            self._stream.flush()
        except (OSError, ValueError):  # nobody reads it any more: the sweep goes on
            self._quiet = True
            discard(self._stream)


def _message(event: Event, job: Job) -> str:
    """What of an event is said at once; empty for most."""
    names = job.runs[0].name if len(job.runs) == 1 else f"{len(job.runs)} runs, {job.runs[0].name} among them"
    if event.kind == "died":
        return f"{names}: {event.text}"
    if event.kind == "raised" and len(job.runs) == 1:
        return f"{names} failed: {event.text}"
    if event.kind == "run_ended" and event.status == "diverged":
        return f"{event.run} diverged: {event.text}"
    return event.text if event.kind == "message" else ""
