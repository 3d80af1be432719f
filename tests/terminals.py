"""A terminal, for tests of what is shown on one: its screen, and a command that runs in it."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

if os.name == "posix":
    import fcntl
    import pty
    import struct
    import termios


def screen(written: str, columns: int = 80) -> list[str]:
    """The lines that a terminal shows after all this, without those that are empty at the end."""
    lines, row, column = [""], 0, 0
    for control, argument, text in re.findall(r"(\x1b\[(\??\d*)[A-Za-z]|\r|\n)|([^\x1b\r\n]+)", written):
        if text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
            assert column < columns, "it would wrap on some terminals"
        elif control == "\n":
            row += 1
            column = 0
            lines += [""] * (row + 1 - len(lines))
        elif control == "\r":
            column = 0
        elif control.endswith("A"):
            row = max(0, row - int(argument or 1))
        elif control.endswith("K"):
            lines[row] = "" if argument == "2" else lines[row][:column]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def in_terminal(arguments: Sequence[str], folder: Path, columns: int) -> tuple[int, str, str]:
    """`rnnlab` with stderr on a terminal and stdout on a pipe: its exit code, stdout, and what the terminal got."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    path = os.pathsep.join([str(Path(__file__).parents[1] / "faults"), str(Path(__file__).parents[2])])
    environment |= {"PYTHONPATH": path, "RNNLAB_FAULTS": str(folder), "RNNLAB_SLOW": "0.01"}
    command = [sys.executable, "-m", "rnnlab", *arguments]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": theirs}
    got: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while data := os.read(ours, 4096):
                got.append(data)

    with subprocess.Popen(command, cwd=folder, env=environment, **pipes) as process:  # type: ignore[call-overload]
        os.close(theirs)
        reader = threading.Thread(target=read)
        reader.start()
        out = process.communicate(timeout=120)[0]
        reader.join()
    os.close(ours)
    return process.returncode, out.decode(), b"".join(got).decode()
