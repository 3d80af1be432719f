"""The command line: the only package that prints and ends the process.

streams         stdout and stderr that are closed or cannot show a character
signals         Ctrl-C and SIGTERM as one interruption
completion      the keys of a config, for shell completion
arguments       arguments and options that several commands have
plugin_options  --plugin and --allow-plugins
choices         the names in a table, for help and for shell completion
hints           what a refused command line was probably meant to be
progress        progress lines, on a terminal and elsewhere
sweep_view      the progress of a sweep
train           rnnlab train
sweep           rnnlab sweep
report_request  what a report was asked for
follow          a report that is written anew as runs end
report          rnnlab report
export_runs     rnnlab export
ls              rnnlab ls
show            rnnlab show
probe           rnnlab probe
verify          rnnlab verify
rerun           rnnlab rerun
validate        rnnlab validate
new             rnnlab new
configs         rnnlab configs
list_parts      rnnlab list
schema          rnnlab schema
app             the commands put together
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Sequence

import typer

from rnnlab.cli.plugin_options import print_allowing
from rnnlab.cli.signals import exit_code, ignore_interrupts, interruption, note_interrupts
from rnnlab.cli.streams import discard, prepare_streams, print_error
from rnnlab.errors import ConfigError, PluginError, PluginRefusedError, RnnlabError
from rnnlab.plugins import place_of, text_of
from rnnlab.wording import shortened

BUG, USAGE, FAILED, BROKEN_PIPE = 1, 2, 3, 141
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
# Phrases of torch's RuntimeError, on a CPU under Linux and under Windows, and on a GPU; and of NumPy's ValueError.
NO_MEMORY = (
    "can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "out of memory",
    "array is too big",
    "Maximum allowed dimension exceeded",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `rnnlab` with these arguments, or the process's own, and end the process with the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    note_interrupts()
    try:
        prepare_streams()
        code = _code(given)
    except KeyboardInterrupt as interrupt:  # while an error was being reported
        code = exit_code(interrupt)
    ignore_interrupts()
    sys.exit(code)


def _code(arguments: list[str]) -> int:
    """The exit code of the process, with its message printed."""
    try:
        _invoke([*arguments])  # the parser takes words out of its list
        sys.stdout.flush()
    except typer.Exit as end:
        return end.exit_code
    except KeyboardInterrupt as interrupt:
        return _interrupted(interrupt)
    except Exception as error:
        # Libraries make another error of a Ctrl-C that comes while they are imported.
        return _interrupted(raised) if (raised := interruption()) else _failed(error, arguments)
    return 0


def _interrupted(interrupt: KeyboardInterrupt) -> int:
    print_error("interrupted")
    return exit_code(interrupt)


def _failed(error: Exception, arguments: list[str]) -> int:
    """The exit code of an error, with its message printed."""
    if isinstance(error, RnnlabError):
        print_error(str(error) if isinstance(error, ConfigError) else f"rnnlab: {error}")
        if isinstance(error, PluginRefusedError):
            print_allowing(arguments)
        if isinstance(error, PluginError) and _wants_traceback(arguments):
            _print_traceback(error.__cause__ or error)
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        discard(sys.stdout)
        return BROKEN_PIPE
    if _is_out_of_memory(error):
        print_error("rnnlab: there is not enough memory; make model.hidden, train.batch or task.length smaller")
        return FAILED
    if isinstance(error, OSError) and error.errno in FULL:
        print_error(f"rnnlab: the output cannot be written: {error.strerror}")
        discard(sys.stdout)
        return FAILED
    if place := place_of(error):
        print_error(f"rnnlab: {place}: {text_of(error)}")
        if _wants_traceback(arguments):
            _print_traceback(error)
        return FAILED
    return _refused(error, arguments) if hasattr(error, "show") else _bug(error, arguments)


def _invoke(arguments: list[str]) -> None:
    """Parse and run, without Typer's own way of ending."""
    from rnnlab.cli.app import app

    command = typer.main.get_command(app)
    if "_RNNLAB_COMPLETE" in os.environ:
        command.main(arguments, prog_name="rnnlab")
    with command.make_context("rnnlab", arguments) as context:
        command.invoke(context)


def _is_out_of_memory(error: Exception) -> bool:
    text = str(error) if isinstance(error, RuntimeError | ValueError) else ""
    return isinstance(error, MemoryError) or any(phrase in text for phrase in NO_MEMORY)


def _refused(error: Exception, arguments: list[str]) -> int:
    """Typer refused the arguments. Its error classes are private, and print themselves."""
    if near := getattr(error, "possibilities", None):
        error.message = f"{error.message}; did you mean {' or '.join(sorted(near))}?"  # type: ignore[attr-defined]
        error.possibilities = None  # type: ignore[attr-defined]
    error.show(file=sys.stderr)  # type: ignore[attr-defined]
    from rnnlab.cli.hints import hint

    if meant := hint(arguments):
        print_error(meant)
    return USAGE


def _wants_traceback(arguments: Iterable[str]) -> bool:
    return bool({"-v", "--verbose"} & set(arguments))


def _print_traceback(error: BaseException) -> None:
    import traceback

    print_error("".join(traceback.format_exception(error)).rstrip())


def _bug(error: Exception, arguments: list[str]) -> int:
    if _wants_traceback(arguments):
        _print_traceback(error)
        print_error("this is a bug in rnnlab; please report it with the lines above")
    else:
        text = shortened(f"{type(error).__name__}: {error}".rstrip(": "), 1000)
        print_error(f"rnnlab: {text}\nthis is a bug in rnnlab; the same command with -v shows where (rnnlab -v ...)")
    return BUG
