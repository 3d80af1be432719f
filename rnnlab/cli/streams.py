"""Stdout and stderr as they may be: closed, without a reader, unable to encode a character."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO


def make_ready() -> None:
    """Put both streams in a state in which anything can be written to them."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Closed by the caller (2>&-). Besides, the next file opened would get its number, and what a library
            # writes to stderr would land in it.
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        if hasattr(stream := getattr(sys, name), "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def tell(message: str) -> None:
    """A line on stderr, if anybody reads it."""
    try:
        print(message, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        let_go(sys.stderr)


def let_go(stream: TextIO) -> None:
    """Nobody reads this stream any more; let the rest, the interpreter's last flush as well, go nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
