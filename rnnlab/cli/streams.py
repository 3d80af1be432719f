"""Stdout and stderr, even if they are closed, have no reader or cannot encode a character."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from rnnlab.wording import escaped, shortened

if TYPE_CHECKING:
    from rich.console import Console

_LONGEST_LINE = 4000


def prepare_streams() -> None:
    """Make both streams accept any text."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Closed by the caller (2>&-). Besides, the next file opened would get its number, and what a library
            # writes to stderr would land in it.
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        if hasattr(stream := getattr(sys, name), "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def print_error(message: str) -> None:
    """Print lines to stderr, without characters that a terminal obeys; without a reader they are dropped."""
    try:
        lines = (shortened(line, _LONGEST_LINE) for line in escaped(message).split("\n"))
        print("\n".join(lines), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Drop what is still written to this stream, also by the interpreter's last flush: it has no reader."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


# Characters, more than any line has.
_ONE_LINE = 100_000


def stdout_console() -> Console:
    """A console on stdout that shows texts as they stand; without a reader it raises BrokenPipeError, as print does.

    Lines are wrapped on a terminal only: in a file or a pipe a sentence is one line, in a table too.
    """
    from rich.console import Console

    class PlainConsole(Console):
        def print(self, *shown: Any, **options: Any) -> None:
            if self.is_terminal:
                super().print(*shown, **options)
                return
            # soft_wrap is of texts; a table fits its cells to the console's width, and pads them to the longest.
            kept, self.width = self.width, _ONE_LINE
            with self.capture() as drawn:
                super().print(*shown, **{"soft_wrap": True, **options})
            self.width = kept
            self.file.write("".join(f"{line.rstrip()}\n" for line in drawn.get().splitlines()))

        def on_broken_pipe(self) -> None:
            # rich would exit with 1, which is said of bugs.
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    return PlainConsole(highlight=False, markup=False, emoji=False)


class LenientStream:
    """A text stream that drops what cannot be written, such as on a full disk or without a reader.

    >>> import io
    >>> from rnnlab.cli.streams import LenientStream
    >>> closed = io.StringIO()
    >>> closed.close()
    >>> stream = LenientStream(closed)
    >>> stream.write("lost"), stream.is_broken
    (4, True)
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding: str | None = getattr(stream, "encoding", None)
        self.is_broken = False

    def write(self, text: str) -> int:
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._attempt(self._stream.flush)

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        try:
            return self._stream.isatty()
        except ValueError:  # it is closed
            return False

    def _attempt(self, action: Callable[[], object]) -> None:
        if self.is_broken:
            return
        try:
            action()
        except (OSError, ValueError):
            self.is_broken = True
            discard(self._stream)
