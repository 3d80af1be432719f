"""Commands of rnnlab in processes that are forked from a warm one, which has loaded torch and the compiled scan.

A fresh Python needs some 3 s until it trains; a fork needs milliseconds. The warm process (`python -m chaos.warm
SOCKET`) has no thread but its first, and listens at a Unix socket: a message with the arguments, environment and
folder, and with the three standard streams; then the pid, and at the end the status. A caller that hangs up kills its
process, so a caller can stand for it: `launcher` does, for the workers of the engine local.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import random
import selectors
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

CONTINUE_AFTER = 0.02
"""Seconds that a stopped process stands still."""
_FOR_RNNLAB = {signal.SIGINT, signal.SIGTERM}
"""Blocked until a command begins: they may come as soon as the caller knows the pid."""


class Server:
    """Forks a process for each message."""

    def __init__(self, path: str) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        self.callers: dict[int, socket.socket] = {}
        self.wake, waker = socket.socketpair()
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(self.wake, selectors.EVENT_READ)
        self.waker = waker

    def serve(self) -> None:
        """Until stdin ends: the process that started this one is gone."""
        self.selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    self._fork(self.listener.accept()[0])
                elif key.fileobj is self.wake:
                    self.wake.recv(4096)
                    self._reap()
                elif key.fd == sys.stdin.fileno():
                    return
                else:
                    self._hung_up(key.fileobj)

    def _fork(self, caller: socket.socket) -> None:
        data, streams, _, _ = socket.recv_fds(caller, 1 << 20, 3)
        pid = os.fork()
        if not pid:
            # Nothing of the parent's may be left: its ends of the streams keep pipes open.
            self.selector.close()
            for held in (self.listener, self.wake, self.waker, caller, *self.callers.values()):
                held.close()
            _become(json.loads(data), streams)
        for stream in streams:
            os.close(stream)
        _say(caller, f"{pid}\n")
        self.callers[pid] = caller
        self.selector.register(caller, selectors.EVENT_READ)

    def _hung_up(self, caller: Any) -> None:
        for pid, other in self.callers.items():
            if other is caller:
                os.kill(pid, signal.SIGKILL)
        self.selector.unregister(caller)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if not pid:
                return
            if os.WIFSTOPPED(status):
                time.sleep(CONTINUE_AFTER)
                os.kill(pid, signal.SIGCONT)
            elif caller := self.callers.pop(pid, None):
                if caller in {key.fileobj for key in self.selector.get_map().values()}:
                    self.selector.unregister(caller)
                with caller:
                    if caller.fileno() >= 0:
                        _say(caller, f"{os.waitstatus_to_exitcode(status)}\n")


def _say(caller: socket.socket, text: str) -> None:
    with contextlib.suppress(OSError):  # it has hung up
        caller.sendall(text.encode())


def _become(message: dict[str, Any], streams: list[int]) -> None:
    """In the child: be the process that was asked for, and end."""
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        for stream in streams:
            os.close(stream)
        sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        os.chdir(message["folder"])
        os.environ.clear()
        os.environ.update(message["environment"])
        code = _run(message["arguments"])
    except BaseException:
        traceback.print_exc()
    finally:
        # Rnnlab has ended: a signal now is for nobody.
        signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_RNNLAB)
        for output in (sys.stdout, sys.stderr):
            try:
                output.flush()
            except OSError:
                code = code or 74
        os._exit(code)


def _run(arguments: list[str]) -> int:
    from chaos.shim import Plan, install
    from chaos.spoken import listen

    if given := os.environ.get("CHAOS_PLAN"):
        listen(install(Plan.from_json(given)))
    sys.executable = os.environ["CHAOS_LAUNCHER"]
    try:
        if arguments[:1] == ["-m"]:
            from rnnlab.sweeps.engines.local_worker import main as work

            _unblock()
            work()
            return 0
        if arguments[:1] == ["python"]:
            return _run_program(*arguments[1:])
        from rnnlab.cli import main

        # The engine local divides the processors among the fleets that are left, and a run has the same bytes only with
        # the same number of threads.
        if hasattr(os, "sched_setaffinity") and "local" in arguments:
            os.sched_setaffinity(0, {random.choice(list(os.sched_getaffinity(0)))})
        sys.argv = ["rnnlab", *arguments]
        _unblock()
        main(arguments)
    except SystemExit as end:
        signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_RNNLAB)
        return end.code if isinstance(end.code, int) else 1
    return 0


def _run_program(module: str, *arguments: str) -> int:
    """A program of a user's, and at its end what it registered for the end of Python, which this process skips."""
    program = importlib.import_module(module)
    atexit._clear()
    _unblock()
    try:
        return int(program.main(arguments))
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_RNNLAB)
        atexit._run_exitfuncs()


def _unblock() -> None:
    """Let signals come; one that came before the command began ends the process, as while Python starts."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _FOR_RNNLAB)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


def _warm_up(folder: Path) -> None:
    """Load everything that the commands load, and compile what they run."""
    import torch

    import rnnlab
    from rnnlab.cli import main

    torch.set_num_threads(1)
    config = {"task": {"name": "addition", "length": 10}, "model": {"hidden": 4, "cell": "gru"}}
    config |= {"train": {"updates": 2, "batch": 4, "evaluate_size": 8}}
    rnnlab.train(config, out=folder / "runs")
    for arguments in (["report", "runs", "-q", "--html", "page.html"], ["ls", "runs"], ["sweep", "--help"]):
        os.chdir(folder)
        with contextlib.suppress(SystemExit):
            main(arguments)
    # What torch's optimizers load at their first step takes 3 s.
    importlib.import_module("chaos.users_loop").main(["--force"])


if __name__ == "__main__":
    import tempfile

    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as _folder, open(os.devnull, "w") as nowhere:
        _saved, sys.stdout = sys.stdout, nowhere
        _warm_up(Path(_folder))
        sys.stdout = _saved
        os.chdir("/")
    signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_RNNLAB)
    server = Server(sys.argv[1])
    print("ready", flush=True)
    server.serve()
