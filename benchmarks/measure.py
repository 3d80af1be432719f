"""Timing in turns, and what the figures were taken on."""

from __future__ import annotations

import gc
import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import torch
from alternatives import HAS_JAX, Update


@dataclass
class Timing:
    """Medians in milliseconds an update, how many turns they are of, and what was too slow to take part (seconds)."""

    ms: dict[str, float]
    repeats: int
    skipped: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Patience:
    """How long a row may take: turns, seconds a turn, seconds for all turns, and for one update to be let in."""

    repeats: int = 7
    turn: float = 0.2
    row: float = 20.0
    update: float = 20.0
    fewest: int = 2


ONCE = Patience(repeats=1, turn=0.0)
"""One turn of one update: does it run at all?"""


def take_turns(makers: Mapping[str, Callable[[], Update]], patience: Patience) -> Timing:
    """Build each alternative, warm it up with two updates, and time them in turns.

    Turns are fewer than asked for, but no fewer than `fewest`, where they would take longer than a row may.
    """
    updates, probes, skipped = {}, {}, {}
    for name, make in makers.items():
        update = make()
        update()
        probe = _seconds(update)
        if probe > patience.update:
            skipped[name] = probe
            del update
            gc.collect()
        else:
            updates[name], probes[name] = update, max(probe, patience.turn)
    affordable = max(patience.fewest, int(patience.row / max(sum(probes.values()), 1e-9)))
    repeats = min(patience.repeats, affordable)
    times: dict[str, list[float]] = {name: [] for name in updates}
    for _ in range(repeats):
        for name, update in updates.items():
            begun, count = time.perf_counter(), 0
            while time.perf_counter() - begun < patience.turn or not count:
                update()
                count += 1
            times[name].append((time.perf_counter() - begun) / count * 1e3)
    return Timing({name: statistics.median(values) for name, values in times.items()}, repeats, skipped)


def _seconds(update: Update) -> float:
    begun = time.perf_counter()
    update()
    return time.perf_counter() - begun


def machine() -> dict[str, object]:
    """What the figures were taken on."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    packages = ["torch", "numba", "numpy", *(["jax"] if HAS_JAX else [])]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }
