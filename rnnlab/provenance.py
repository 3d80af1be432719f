"""Where a run comes from: package versions, git commit and process. Nothing here loads those packages, or fails."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from collections.abc import Mapping
from typing import Any

# How far apart, in seconds, two records of one process's start may lie. Linux counts from a boot time in whole
# seconds, which moves by one when the clock is corrected, and by any amount when the clock is set; since that boot the
# start is exact to a clock tick (0.01). Elsewhere the time of day is fixed. No system uses a pid again within seconds.
_TIME_OF_DAY = 2.0
_SINCE_BOOT = 0.1


def versions() -> dict[str, str | None]:
    """The versions of Python and of the packages that matter; None for a package that is not installed."""
    return {"python": platform.python_version()} | {
        package: _version(package) for package in ("rnnlab", "torch", "numpy", "numba")
    }


def _version(package: str) -> str | None:
    # Loaded here: it takes longer than all else that listing runs needs.
    import importlib.metadata

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine() -> dict[str, str | None]:
    """The system and the processor, which decide how the last digits are rounded; None for what is not known."""
    return {"system": f"{platform.system()} {platform.machine()}".strip() or None, "processor": _processor()}


def _processor() -> str | None:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            names = (line.partition(":")[2].strip() for line in file if line.startswith("model name"))
            return next(names, None) or platform.processor() or None
    except OSError:
        return platform.processor() or None


def git_state(folder: str | os.PathLike[str] | None = None) -> dict[str, Any] | None:
    """The commit of the repository around `folder` (the working directory) and whether tracked files differ from it.

    None outside a repository, or where git cannot say. `commit` is None before the first commit; `dirty` is None
    where git took too long over it. Never raises.
    """
    lines = _git(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no")
    if lines is None:
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit[0], "dirty": None} if commit else None
    oid = next((line.split()[-1] for line in lines if line.startswith("# branch.oid ")), "(initial)")
    return {"commit": None if oid == "(initial)" else oid, "dirty": any(not line.startswith("#") for line in lines)}


def _git(folder: str | os.PathLike[str] | None, *arguments: str) -> list[str] | None:
    # Without its optional locks git leaves the index alone: looking must not disturb.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=3, check=True
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return done.stdout.splitlines()


def this_process() -> dict[str, Any]:
    """What identifies this process, also after it has ended; times are seconds since 1970.

    `start` and `boot`, the machine's start, are None where the system does not say.
    """
    import psutil

    process: dict[str, Any] = {"pid": os.getpid(), "host": socket.gethostname()}
    try:
        boot, start = _times(os.getpid())
    except (psutil.Error, OSError, RuntimeError):
        return {**process, "start": None, "boot": None}
    return {**process, "start": start, "boot": boot}


def trained_by(process: Mapping[str, Any]) -> str:
    """The end of an error message that begins with a run's folder: this process trains the run, and what to do."""
    trainer = f"process {process['pid']} on {process.get('host')}" if "pid" in process else "another process"
    return f"is being trained by {trainer}; wait until that has ended, or stop it"


def is_here(process: Mapping[str, Any]) -> bool:
    """Whether that process is, or was, on this machine."""
    return process.get("host") == socket.gethostname()


def is_gone(process: Mapping[str, Any]) -> bool:
    """Whether that process is known to have ended; one on another machine never is.

    A pid is used again sooner or later: the same pid with another start is another process.
    """
    import psutil

    pid = process.get("pid")
    if not is_here(process) or not isinstance(pid, int) or pid < 1:
        return False
    try:
        boot, start = _times(pid)
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, OSError, RuntimeError):
        return False
    return not _same_start(process, boot, start)


def _times(pid: int) -> tuple[float, float]:
    """When the machine and the process started. Raises psutil.Error, or OSError or RuntimeError without a /proc."""
    import psutil

    return psutil.boot_time(), psutil.Process(pid).create_time()


def _same_start(process: Mapping[str, Any], boot: float, start: float) -> bool:
    """Whether a process that started at `start` can be the recorded one; True where nothing can be compared."""
    recorded = process.get("start")
    if isinstance(recorded, str) and recorded.isdecimal() and hasattr(os, "sysconf"):
        # The older form of a run.json, of Linux alone: clock ticks since the boot, as a text.
        return abs(int(recorded) / os.sysconf("SC_CLK_TCK") - (start - boot)) < _SINCE_BOOT
    if not isinstance(recorded, (int, float)) or abs(recorded - start) < _TIME_OF_DAY:
        return True
    then = process.get("boot")
    return isinstance(then, (int, float)) and abs((recorded - then) - (start - boot)) < _SINCE_BOOT
