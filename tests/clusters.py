"""A Ray cluster of nodes on this machine, started as docs/SWEEPS.md says, each by `ray start`."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

RAY = Path(sys.executable).with_name("ray")


def free_port() -> int:
    """One that nobody listens at, and that no Ray worker will."""
    while True:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            if (port := found.getsockname()[1]) > 20000:
                return int(port)


class Cluster:
    """A head and one more node, with a processor each."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True)
        # On a busy machine one in eight of the processes that Ray forks for clients died in gRPC's own fork handlers.
        quiet = {"RAY_USAGE_STATS_ENABLED": "0", "GRPC_ENABLE_FORK_SUPPORT": "0"}
        self._environment = {**os.environ, **environment, **quiet}
        port, client = free_port(), free_port()
        self.address, self.client = f"127.0.0.1:{port}", f"ray://127.0.0.1:{client}"
        head = ["--head", f"--port={port}", f"--ray-client-server-port={client}", "--include-dashboard=false"]
        self.head = self._start(*head, f"--temp-dir={self._folder.name}")
        self._until_it_listens(port)
        self._until_it_listens(client)
        self.node = self.add()
        self._until_both_are_there()

    def add(self) -> subprocess.Popen[bytes]:
        """One more node."""
        return self._start(f"--address={self.address}")

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [RAY, "start", "--block", "--num-cpus=1", "--object-store-memory=100000000", *arguments]
        return subprocess.Popen(
            command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def _until_it_listens(self, port: int) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            assert self.head.poll() is None, "ray start failed"
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            time.sleep(0.1)
        raise AssertionError("ray start took more than a minute")

    def _until_both_are_there(self) -> None:
        """A port that listens is no cluster yet."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            done = subprocess.run(
                [RAY, "status", "--address", self.address], capture_output=True, text=True, check=False
            )
            if "/2.0 CPU" in done.stdout:
                return
            time.sleep(0.2)
        raise AssertionError("ray start took more than a minute")

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        """kill -9 of a node: of `ray start --block` and all that it started."""
        for pid in [node.pid, *_descendants(node.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        node.wait()

    def stop(self) -> None:
        for node in (self.node, self.head):
            self.kill(node)
        self._folder.cleanup()


def _descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                yield from _descendants(child)
                yield child
