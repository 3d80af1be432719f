"""Peak resident memory of training with recording on: `python benchmarks/memory.py lstm 32 1000 128 2` (2 updates).

A process of its own for each shape. `before` is what it holds once everything is imported, compiled and has run at a
tiny shape; `peak` is the most that it ever held after that. `buffers` is what those sizes predict: the bytes of all the
tensors that the fleet holds and that one update finds (states, gates, squares, exponents, workspace, weights).
"""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from alternatives import TINY, fleet_of, updating
from options import asked

USUAL = {"cell": "lstm", "B": 32, "T": 1000, "H": 128, "updates": 2}
QUICK = {"cell": "lstm", **dict(zip("BTH", TINY, strict=True)), "updates": 2}


def resident(which: str) -> int:
    """Bytes of this process in memory: VmRSS now, VmHWM at most. Only the latter is known outside Linux."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count the parent in: Linux hands its peak down at a fork
        (line,) = (line for line in status.read_text().splitlines() if line.startswith(which))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def tensors(one: Any, seen: set[int]) -> Iterator[torch.Tensor]:
    """All tensors and arrays (as tensors) in an object of this lab, list, tuple or dict, to any depth."""
    if id(one) in seen:
        return
    seen.add(id(one))
    if isinstance(one, torch.Tensor):
        yield one
    elif isinstance(one, np.ndarray) and one.flags.writeable and one.dtype != object:
        yield torch.from_numpy(one)
    elif isinstance(one, dict | list | tuple):
        for part in one.values() if isinstance(one, dict) else one:
            yield from tensors(part, seen)
    elif type(one).__module__.startswith("rnnlab"):
        yield from tensors(getattr(one, "__dict__", {}), seen)


def size(*objects: object) -> int:
    """Bytes of the memory behind all tensors in there, each piece counted once."""
    storages = [tensor.untyped_storage() for tensor in tensors(objects, set())]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def train(cell: str, B: int, T: int, H: int, updates: int) -> dict[str, Any]:
    """Train here, in this process, and say what it took."""
    updating(fleet_of(cell, 2, 10, 4))()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far is the compiler's
    before = resident("VmRSS")
    fleet = fleet_of(cell, B, T, H)
    update = updating(fleet)
    for _ in range(updates - 1):
        update()
    with fleet.threads():
        buffers = size(fleet, fleet.compute_gradients())
    update()
    figures = {"before": before, "peak": resident("VmHWM"), "buffers": buffers}
    return {"cell": cell, "B": B, "T": T, "H": H, "updates": updates, **figures}


def measure(cell: str, B: int, T: int, H: int, updates: int = 2) -> dict[str, Any]:
    """Train in a process of its own, and say what it took: bytes."""
    command = [sys.executable, __file__, cell, *map(str, (B, T, H, updates))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def main() -> None:
    options = asked(__doc__, USUAL, QUICK)
    print(json.dumps(train(options.cell, options.B, options.T, options.H, options.updates)))


if __name__ == "__main__":
    main()
