"""What a run was made with, from and by: versions, commit, process. Finding out imports nothing and never fails."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def versions() -> dict[str, str | None]:
    """What the run was made with; None for a package that is not installed. Nothing is imported."""
    return {"python": platform.python_version()} | {
        package: _version(package) for package in ("rnnlab", "torch", "numpy", "numba")
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


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
    """What tells this process from every other, now and after it has ended."""
    return {"pid": os.getpid(), "host": socket.gethostname(), "start": _process_start(os.getpid())}


def is_here(process: Mapping[str, Any]) -> bool:
    """Whether that process is, or was, on this machine."""
    return process.get("host") == socket.gethostname()


def is_gone(process: Mapping[str, Any]) -> bool:
    """Whether that process is known to have ended; one on another machine never is."""
    pid = process.get("pid")
    if not is_here(process) or not isinstance(pid, int) or os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    # A pid is used again sooner or later: the same one with another start is another process.
    return _process_start(pid) != process.get("start")


def _process_start(pid: int) -> str | None:
    """When the process started, in the kernel's ticks; None where the system does not say."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
