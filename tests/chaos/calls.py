"""Commands of rnnlab called in this process, with what they print; a command that hangs is stopped."""

from __future__ import annotations

import contextlib
import functools
import io
import signal
import warnings
from collections.abc import Iterator
from unittest import mock

import typer
from commands import Result

from rnnlab.cli import main

HUNG = 30.0
"""Seconds after which a command hangs; each of them needs a fraction of one."""
CODES = (0, 2, 3, 5)
"""What a command may end with, whatever the folder holds."""


_built = functools.cache(typer.main.get_command)
"""The parser of rnnlab's arguments, made once: otherwise each call spends more time on it than on most commands."""


class HungError(BaseException):
    """A command does not end. No command catches it."""


def called(*arguments: str) -> Result:
    """The command's exit code, stdout and stderr. Raises AssertionError where it hangs, or ends as a bug."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
        mock.patch("typer.main.get_command", _built),
        _handlers_kept(),
    ):
        # As in a process of its own, where a warning is printed: such as that a font has no sign for a character.
        warnings.simplefilter("default")
        code = _code(arguments)
    result = Result(code, *(_text(stream) for stream in (out, err)))
    assert code in CODES, (arguments, result)
    assert not any(words in result.err for words in ("Traceback", "bug in rnnlab")), (arguments, result)
    return result


def _code(arguments: tuple[str, ...]) -> int:
    try:
        main(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except HungError:
        raise AssertionError(f"it hangs: rnnlab {' '.join(arguments)}") from None
    raise AssertionError("main ends the process")


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    data = stream.buffer.getvalue()  # type: ignore[attr-defined]
    return str(data.decode(errors="replace"))


@contextlib.contextmanager
def _handlers_kept() -> Iterator[None]:
    """The signal handlers are afterwards those of before, and the alarm rings only within the block."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    handlers = {number: signal.getsignal(number) for number in numbers}
    signal.signal(signal.SIGALRM, _hang)
    signal.setitimer(signal.ITIMER_REAL, HUNG)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _hang(*_: object) -> None:
    raise HungError
