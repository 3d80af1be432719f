"""The processors of this process, and the memory that the machine or its control group has free."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int:
    """Bytes that can still be taken: of the machine's memory, and within the limits of its control groups.

    What the system holds of files and can give up counts as free.
    """
    import psutil

    return max(0, min([int(psutil.virtual_memory().available), *_left_in_groups(_GROUPS, _OWN_GROUPS)]))


def resident_memory() -> int:
    """Bytes of memory that this process holds."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def in_bytes(count: int) -> str:
    """A number of bytes with a unit: 3.2 GB."""
    from rich.filesize import decimal

    return decimal(count)


def _left_in_groups(mount: Path, own: Path) -> Iterator[int]:
    """What each control group around this process leaves, of version 2 and of version 1 (Linux)."""
    try:
        lines = own.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            files = ("memory.max", "memory.current", "inactive_file")
            roots = [mount, mount / "unified"]
        elif "memory" in controllers.split(","):
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            roots = [mount / "memory"]
        else:
            continue
        # A limit of a group above counts as well. In a container the mount may be the process's own group.
        for root in roots:
            for group in (PurePosixPath(path), *PurePosixPath(path).parents):
                left = _left(root / group.relative_to("/"), *files)
                if left is not None:
                    yield left


def _left(group: Path, limit: str, usage: str, reclaimable: str) -> int | None:
    """What a group leaves; None where it has no limit, or is not there."""
    try:
        most, used = (group / limit).read_text().strip(), int((group / usage).read_text())
        if most == "max":
            return None
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return int(most) - used + int(statistics.get(reclaimable, 0))
    except (OSError, ValueError):
        return None
