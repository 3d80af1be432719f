"""Every file operation of a process on a folder is counted, and at one of them something goes wrong.

`install` patches what Python opens, writes, cuts, syncs, renames and deletes with. The count is shared by all processes
of a case (a file under a lock), so that "operation 17" is one operation, whoever makes it. What C code writes on its
own (SQLite) is not seen; kills at random moments are for that.
"""

from __future__ import annotations

import base64
import builtins
import errno
import fcntl
import io
import json
import os
import signal
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaos.clock import jump

GROWING = ("create", "write", "mkdir")
"""What a full disk refuses."""
SIGNALS = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT, "SIGSTOP": signal.SIGSTOP}
ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EROFS": errno.EROFS}
FAULTS = ("kill", "torn", *ERRORS, "vanish", *SIGNALS, "clock-", "clock+")
"""kill: kill -9 before the operation; torn: in the middle of a write. ENOSPC and EROFS last, EIO comes once. vanish:
the folder is gone. clock: it jumps by a day."""


@dataclass(frozen=True)
class Plan:
    """What a process is to count, and what is to happen.

    >>> Plan.from_json(Plan("case", "state", 17, "kill").to_json())
    Plan(folder='case', state='state', at=17, fault='kill', record=False)
    """

    folder: str
    """Everything below it counts."""
    state: str
    """A folder for the count, outside of it."""
    at: int = -1
    fault: str = ""
    record: bool = False
    """Keep each operation with its data, in `state`/log."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        return cls(**json.loads(text))


_open, _os_open, _fsync, _close, _stat = io.open, os.open, os.fsync, os.close, os.fstat
_real = {name: getattr(os, name) for name in ("replace", "rename", "unlink", "remove", "mkdir", "rmdir", "truncate")}


class Shim:
    """The count of one process, and its fault."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.state = plan, Path(plan.state)
        self.folder = os.path.abspath(plan.folder)
        self.handles = 0

    def counts(self, path: str) -> bool:
        return path == self.folder or path.startswith(self.folder + os.sep)

    def before(
        self, op: str, path: str, data: bytes = b"", tear: Callable[[], object] | None = None, **more: Any
    ) -> None:
        """Count an operation that is about to happen; fault it when it is its turn. tear: do half of it."""
        number = self._next({"op": op, "path": path, **more, **({"data": _text(data)} if self.plan.record else {})})
        fault = self.plan.fault
        if fault in ("ENOSPC", "EROFS") and number > self.plan.at >= 0:
            if fault == "EROFS" or op in GROWING:
                raise OSError(ERRORS[fault], os.strerror(ERRORS[fault]), path)
            return
        if number == self.plan.at:
            (self.state / "struck").write_text(f"{op} {path}")
            self._strike(op, path, tear)

    def _strike(self, op: str, path: str, tear: Callable[[], object] | None) -> None:
        fault = self.plan.fault
        if fault == "torn" or fault in ERRORS:
            if tear:
                tear()
            if fault == "torn":
                os.kill(os.getpid(), signal.SIGKILL)
            if fault != "ENOSPC" or op in (*GROWING, "fsync"):
                raise OSError(ERRORS[fault], os.strerror(ERRORS[fault]), path)
        elif fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault in SIGNALS:
            os.kill(os.getpid(), SIGNALS[fault])
        elif fault == "vanish":
            _real["rename"](self.folder, f"{self.folder}.gone")
        elif fault.startswith("clock"):
            jump(86400.0 if fault == "clock+" else -86400.0)

    def said(self, **fields: Any) -> None:
        """Record that something was said to be done: a checkpoint, the end of a run."""
        self._log({"said": fields})

    def _next(self, entry: dict[str, Any]) -> int:
        number = _os_open(self.state / "count", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(number, fcntl.LOCK_EX)
            count = int(os.read(number, 20) or b"0")
            os.pwrite(number, str(count + 1).encode(), 0)
        finally:
            _close(number)
        self._log(entry)
        return count

    def _log(self, entry: dict[str, Any]) -> None:
        if self.plan.record:
            number = _os_open(self.state / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.write(number, json.dumps(entry).encode() + b"\n")
            _close(number)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


class _File(io.FileIO):
    """A file that is open for writing, and says so before each operation."""

    def __init__(self, shim: Shim, path: str, mode: str) -> None:
        fresh = not os.path.lexists(path)
        if fresh or "w" in mode:
            shim.before("create", path)
        shim.handles += 1
        self._shim, self._path, self._handle = shim, path, f"{os.getpid()}.{shim.handles}"
        super().__init__(path, mode)
        shim._log({"opened": self._handle, "path": path})

    def write(self, data: Any) -> int:
        content, where = bytes(data), self._where()
        half = content[: len(content) // 2]
        self._shim.before(
            "write", self._path, content, lambda: super(_File, self).write(half), handle=self._handle, offset=where
        )
        return super().write(content)

    def _where(self) -> int:
        return _stat(self.fileno()).st_size if "a" in self.mode else os.lseek(self.fileno(), 0, os.SEEK_CUR)

    def truncate(self, size: int | None = None) -> int:
        length = self.tell() if size is None else size
        self._shim.before("truncate", self._path, handle=self._handle, length=length)
        return super().truncate(length)


def install(plan: Plan) -> Shim:
    """Patch this process for good."""
    shim = Shim(plan)
    synced: dict[int, _File] = {}

    def opened(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **options: Any) -> Any:
        path = os.path.abspath(os.fsdecode(file)) if isinstance(file, str | bytes | os.PathLike) else ""
        if not (path and set(mode) & set("wax+") and shim.counts(path)):
            return _open(file, mode, buffering, *rest, **options)
        assert "b" in mode, f"{path} is opened for text: count that too"
        raw = _File(shim, path, mode.replace("b", ""))
        synced[raw.fileno()] = raw
        if buffering == 0:
            return raw
        return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)

    def fsync(number: Any) -> None:
        number = number if isinstance(number, int) else number.fileno()
        path = os.readlink(f"/proc/self/fd/{number}")
        if shim.counts(path):
            if os.path.isdir(path):
                shim.before("syncdir", path)
            else:
                shim.before("fsync", path, handle=synced[number]._handle)
        _fsync(number)

    builtins.open = io.open = opened
    os.fsync = fsync  # type: ignore[assignment]
    for name in _real:
        setattr(os, name, _counted(shim, name))
    return shim


def _counted(shim: Shim, name: str) -> Callable[..., Any]:
    real = _real[name]

    def call(path: Any, *rest: Any, **options: Any) -> Any:
        full = _full(path, options.get("dir_fd", options.get("src_dir_fd")))
        if shim.counts(full):
            more: dict[str, Any] = {}
            if name in ("replace", "rename"):
                more["to"] = _full(rest[0], options.get("dst_dir_fd"))
            if name == "truncate":
                more["length"] = rest[0]
            # What cannot be done is no operation: the error comes from the system.
            if not (name in ("unlink", "remove") and not os.path.lexists(full)):
                op = {"replace": "rename", "remove": "unlink"}.get(name, name)
                shim.before(op, full, **more)
        return real(path, *rest, **options)

    return call


def _full(path: Any, folder: int | None) -> str:
    name = os.fsdecode(path)
    return os.path.abspath(name if folder is None else os.path.join(os.readlink(f"/proc/self/fd/{folder}"), name))
