"""The caller of the warm process (`warm.py`): runs a command of rnnlab in a fork of it, disturbed or not."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from chaos.shim import Plan

ROOT = Path(__file__).parent.parent.parent
HUNG = 60.0
"""Seconds after which a command hangs: each needs a fraction of one, or for a sweep a few."""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    >>> Ended(-9, "", "").how
    'SIGKILL'
    """

    code: int
    out: str
    err: str
    struck: str = ""
    """The operation that was disturbed; empty where the command ended before."""
    hung: bool = False

    @property
    def how(self) -> str:
        return signal.Signals(-self.code).name if self.code < 0 else f"exit {self.code}"


class Warm:
    """The warm process; it ends with the block.

    >>> with Warm() as warm:  # doctest: +SKIP
    ...     warm.run(["ls", "runs"], Path("."))
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True)
        self.socket = f"{self._folder.name}/socket"

    def __enter__(self) -> Self:
        launcher = Path(self._folder.name, "launcher")
        script = Path(__file__).with_name("launcher.py").read_text()
        launcher.write_text(f"#!{sys.executable} -IS\n{script}")
        launcher.chmod(0o755)
        paths = [str(ROOT), str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "COLUMNS": "100",
            "CHAOS_LAUNCHER": str(launcher),
            "CHAOS_SOCKET": self.socket,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chaos.warm", self.socket],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            self.__exit__()
            raise AssertionError("the warm process did not start")
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def run(
        self,
        arguments: Sequence[str],
        folder: Path,
        plan: Plan | None = None,
        kick: tuple[float, signal.Signals] | None = None,
    ) -> Ended:
        """The command in this folder; with `kick` it gets a signal after so many seconds."""
        extra = {"CHAOS_PLAN": plan.to_json()} if plan else {}
        message = {"arguments": [*arguments], "environment": {**self.environment, **extra}, "folder": str(folder)}
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, open(os.devnull, "rb") as nothing:
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect(self.socket)
                streams = [nothing.fileno(), out.fileno(), err.fileno()]
                socket.send_fds(caller, [json.dumps(message).encode()], streams)
                code = _wait(caller, kick)
            struck = Path(plan.state, "struck") if plan else None
            return Ended(
                code=-signal.SIGKILL if code is None else code,
                out=_read(out),
                err=_read(err),
                struck=struck.read_text() if struck and struck.exists() else "",
                hung=code is None,
            )


def _wait(caller: socket.socket, kick: tuple[float, signal.Signals] | None) -> int | None:
    """The status of the process; None where it hung, and was killed by hanging up."""
    text, begun = b"", time.monotonic()
    while text.count(b"\n") < 2:
        left = begun + (kick[0] if kick else HUNG) - time.monotonic()
        if select.select([caller], [], [], max(0.0, left))[0]:
            if not (part := caller.recv(100)):
                raise AssertionError("the warm process is gone")
            text += part
        elif kick and b"\n" in text:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(text.split()[0]), kick[1])
            kick = None
        elif not kick:
            return None
    return int(text.split()[1])


def _read(file: IO[Any]) -> str:
    file.seek(0)
    return str(file.read().decode(errors="replace"))
