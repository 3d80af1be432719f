"""Shows progress on stderr: live on a terminal, elsewhere a plain line now and then.

rich.live draws it and not rich.progress: drawing a line takes half as long, and a rich column cannot drop a figure
where the terminal is narrow. Nothing is drawn by a thread, which would take the processor from the training.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol, Self, TextIO, cast

from rnnlab.cli.streams import LenientStream
from rnnlab.progress import Progress
from rnnlab.report.formatting import format_duration, format_number
from rnnlab.wording import escaped

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live

_LIVE_INTERVAL = 0.2
_LINE_INTERVAL = 10.0
"""Seconds between two lines off a terminal."""
_LINE_WIDTH = 120


class View(Protocol):
    """Something that can be shown, as one line or rendered by rich."""

    def line(self) -> str: ...

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult: ...


class ProgressDisplay:
    """Shows views while a command runs, and removes them at the end.

    With `quiet` it shows nothing. It does not fail if the stream has no reader.

    >>> import io
    >>> from rnnlab.cli.progress import ProgressDisplay, TrainingView
    >>> from rnnlab.progress import Progress
    >>> stream = io.StringIO()
    >>> with ProgressDisplay(stream) as display:
    ...     display.message("compiling the scan")
    ...     display.show(TrainingView(Progress(1000, 1000)), last=True)
    >>> stream.getvalue().splitlines()[0]
    'compiling the scan'
    """

    def __init__(self, stream: TextIO, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._quiet, self._clock = LenientStream(stream), quiet, clock
        self._is_live = self._stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
        self._interval = _LIVE_INTERVAL if self._is_live else _LINE_INTERVAL
        self._shown = -math.inf if self._is_live else clock()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self, view: View, *, last: bool = False) -> None:
        """Show the view, if it is time to. The last view is always shown."""
        if self._quiet or self._stream.is_broken:
            return
        now = self._clock()
        if now - self._shown < self._interval and not last:
            return
        self._shown = now
        if self._is_live:
            self._draw(view)
        else:
            self._stream.write(f"{view.line()}\n")
            self._stream.flush()

    def message(self, text: str) -> None:
        """Write a message on a line of its own, above what is drawn."""
        if self._quiet:
            return
        text = escaped(text)
        if (live := self._live) is not None:
            live.console.print(text, soft_wrap=True)
            return
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def close(self) -> None:
        """Remove what is drawn."""
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    def _draw(self, view: View) -> None:
        if self._live is None:
            self._live = self._started()
        self._live.update(view, refresh=True)

    def _started(self) -> Live:
        from rich.console import Console
        from rich.live import Live

        console = Console(
            file=cast("IO[str]", self._stream),
            force_terminal=True,
            force_interactive=True,
            markup=False,
            emoji=False,
            highlight=False,
        )
        # What libraries print to stderr then appears above; to stdout as well, where stdout is stderr.
        to_stderr = sys.stdout is sys.stderr
        live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=to_stderr)
        live.start()
        # A process that is killed cannot show the cursor again.
        console.show_cursor(True)
        return live


@dataclass(frozen=True)
class TrainingView:
    """The progress of a single training, as one line.

    >>> from rnnlab.cli.progress import TrainingView
    >>> from rnnlab.progress import Progress
    >>> TrainingView(Progress(120, 1000, losses=(0.25,), error=0.5, grad_norm=1.5, rate=40.0, seconds_left=22.0)).line()
    '120/1000  loss 0.25  error 0.5  |g| 1.5  40/s  left 22s'
    """

    progress: Progress

    def line(self) -> str:
        return progress_line(self.progress, _LINE_WIDTH)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        # One column stays free: a full line would wrap on some terminals.
        yield Text(progress_line(self.progress, options.max_width - 1), no_wrap=True, overflow="crop")


def progress_line(progress: Progress, width: int = 80) -> str:
    """One line of at most `width` columns: update, loss, error, gradient norm, clip rate, updates/s, time left.

    If there is little room, digits are dropped first, then the validation error, then fields from the right.
    """
    for digits, evaluated, gap in ((3, True, "  "), (3, False, "  "), (2, False, "  "), (2, False, " ")):
        if len(line := gap.join(_fields(progress, digits, evaluated))) <= width:
            return line
    return line[:width]


def _fields(progress: Progress, digits: int, evaluated: bool) -> Iterable[str]:
    yield f"{progress.done}/{progress.total}"
    yield f"loss {format_number(progress.loss, digits)}"
    yield f"error {format_number(progress.error, digits)}"
    if evaluated and progress.eval_error is not None:
        yield f"eval {format_number(progress.eval_error, digits)}"
    yield f"|g| {format_number(progress.grad_norm, digits)}"
    if progress.clip_rate is not None:
        yield f"clip {progress.clip_rate:.0%}"
    yield f"{format_number(progress.rate, digits)}/s"
    yield f"left {format_duration(progress.seconds_left or 0.0)}"
