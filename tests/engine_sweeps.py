"""Two sweeps for the tests of engines, and what their runs have to be: there once, with the same bytes."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from clusters import RAY
from slurm_cluster import MISSING

from rnnlab.runs.run import Run
from rnnlab.sweeps.engines import ENGINES

FAULTS = Path(__file__).parent / "faults"
on_cluster = pytest.mark.xdist_group("ray")
needs_ray = pytest.mark.skipif(not RAY.exists(), reason="ray is not installed (the extra `ray`)")
ray_engine = pytest.param("ray", marks=[needs_ray, on_cluster])
NO_SLURM = [*MISSING, *([] if find_spec("submitit") else ["submitit"])]
needs_slurm = pytest.mark.skipif(bool(NO_SLURM), reason=f"not installed: {', '.join(NO_SLURM)}")
slurm_engine = pytest.param("slurm", marks=[needs_slurm, pytest.mark.xdist_group("slurm")])
OTHERS = {"ray": ray_engine, "slurm": slurm_engine}
every_engine = [OTHERS.get(name, name) for name in ENGINES]

# Five fleets of two runs. By tests/faults that of 11 timesteps kills its process at first and that of 12 raises; that
# of 13 diverges by itself.
FIVE = {
    "base": {
        "task": "addition",
        "model": {"hidden": 5},
        "optimizer": {"name": "sgd", "lr": 0.1},
        "train": {"updates": 60, "batch": 4, "evaluate_size": 8},
        "probe": {"schedule": {"name": "every", "n": 20}},
    },
    "axes": {
        "list": [
            {"task.length": 10},
            {"task.length": 11},
            {"task.length": 12},
            {"task.length": 13, "optimizer.lr": 1e9},
            {"task.length": 14},
        ]
    },
    "seeds": 2,
}
SLOW = {**FIVE, "axes": {"grid": {"task.length": [20, 21, 22]}}}


def by_identity(out: Path) -> dict[str, Run]:
    """The runs of a folder; that no two of them are the same is part of it."""
    runs = [Run(path.parent) for path in sorted(out.glob("*/run.json"))]
    unique = {run.info["identity"]: run for run in runs}
    assert len(unique) == len(runs)
    return unique


def same(ours: Run, theirs: Run) -> None:
    """Equal bytes where time is not measured."""
    assert ours.dir.gradients.read_bytes() == theirs.dir.gradients.read_bytes()
    assert ours.metrics.drop(columns="seconds").equals(theirs.metrics.drop(columns="seconds"))
    assert (ours.status, ours.info["result"]) == (theirs.status, theirs.info["result"])


def until(happens: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.02)


def running(out: Path, count: int = 1) -> bool:
    """Whether that many runs have begun, and have made some updates."""
    begun = [path for path in out.glob("*/gradients.csv") if path.stat().st_size > 100]
    return len(begun) >= count
