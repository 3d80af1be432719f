"""Train a run again and hold what it gives against what it gave: are they the same bytes, and if not, how far apart?"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rnnlab.config import load_config
from rnnlab.errors import RunFolderError, UsageError
from rnnlab.plugins import changes, used_by
from rnnlab.provenance import machine, versions
from rnnlab.runs.run import Run
from rnnlab.runs.run_json import ENDED
from rnnlab.training.checkpoints import parameters_of
from rnnlab.training.loop import MessageCallback, ProgressCallback, train

_LAST_DIGIT = 1e-14
"""Losses, which are float64, are summed in another order in a fleet."""
_LOG10 = ("log10_norm", "log10_p05", "log10_median", "log10_p95", "log10_direct")


@dataclass(frozen=True)
class Comparison:
    """One thing that two trainings of one run have in common, or not.

    >>> Comparison("weights", True, "bit for bit").equal
    True
    """

    subject: str
    equal: bool
    text: str


def rerun(
    run: Run,
    *,
    observe: ProgressCallback = lambda progress: None,
    notify: MessageCallback = lambda message: None,
) -> list[Comparison]:
    """Train the run again, with the number of threads that it had, and compare; nothing of the second one is kept.

    Raises RunFolderError where the run is training or cannot be read, and what `train` raises.
    """
    if run.status not in (*ENDED, "interrupted", "failed"):
        raise RunFolderError(f"{run.path} is {run.status}; only a run that is not training can be compared")
    if "watch" in run.info:
        raise UsageError(f"{run.path} was trained by another program, which rnnlab watched; run that program again")
    config = load_config(run.config, ["name=again"])
    before = torch.get_num_threads()
    folder = Path(tempfile.mkdtemp(prefix="rnnlab-rerun-"))
    try:
        # The threads of a fleet are divided among its replicas, and the sums of each are made in as many parts.
        torch.set_num_threads(-(-(run.info.get("threads") or before) // (run.info.get("fleet") or 1)))
        again = train(config, out=folder, observe=observe, notify=notify)
        return list(compare(run, again))
    finally:
        torch.set_num_threads(before)
        shutil.rmtree(folder, ignore_errors=True)


def compare(run: Run, again: Run) -> Iterator[Comparison]:
    """Two trainings of one run: rows, weights and results. A run without an end is compared as far as it goes."""
    ended = run.status in ENDED
    yield _rows(run.dir.gradients, again.dir.gradients, ended, lambda: _decades(run, again))
    yield _metrics(run, again, ended)
    if ended:
        yield _weights(parameters_of(run), parameters_of(again))
        results = [{**(each.info.get("result") or {}), "status": each.status} for each in (run, again)]
        unequal = [key for key in results[1] if not _alike(results[0].get(key), results[1][key], run)]
        yield Comparison("result", not unequal, f"{', '.join(unequal)} differ" if unequal else "equal")


def _alike(first: Any, second: Any, run: Run) -> bool:
    if first == second:
        return True
    numbers = isinstance(first, float) and isinstance(second, float)
    return (run.info.get("fleet") or 1) > 1 and numbers and math.isclose(first, second, rel_tol=_LAST_DIGIT)


def differences(run: Run) -> list[str]:
    """What is otherwise here than where the run was trained: what can change its last digits, and plugins."""
    info, used = run.info, used_by(load_config(run.config).parts())
    there = {**(info.get("versions") or {}), **(info.get("machine") or {})}
    here = {**versions(), **machine()}
    other = [f"{key} is {here.get(key)} here and was {there[key]}" for key in there if there[key] != here.get(key)]
    continued = ", ".join(map(str, info.get("continued") or ()))
    longer = [f"it was made longer after {continued} updates, with an evaluation there"] if continued else []
    return [*changes(info.get("plugins"), used), *other, *longer]


def _rows(path: Path, again: Path, ended: bool, far: Callable[[], str]) -> Comparison:
    first, second = path.read_bytes(), again.read_bytes()
    if first == second:
        return Comparison(path.name, True, "equal, byte for byte")
    whole = first[: first.rfind(b"\n") + 1]
    if not ended and second.startswith(whole):
        return Comparison(path.name, True, f"equal as far as it goes, {len(whole):,} of {len(second):,} bytes")
    for number, (line, other) in enumerate(zip(first.splitlines(), second.splitlines(), strict=False), 1):
        if line != other:
            return Comparison(path.name, False, f"differs from line {number} on; {far()}")
    return Comparison(path.name, False, f"has {len(first):,} bytes, and {len(second):,} again")


def _decades(run: Run, again: Run) -> str:
    """How far apart two tables of gradients are, where both have a row."""
    keys = ["update", "layer", "state", "t"]
    both = run.gradients.merge(again.gradients, on=keys, suffixes=("", "_again"))
    gaps = [np.abs(both[name] - both[f"{name}_again"]) for name in _LOG10]
    finite = [gap[np.isfinite(gap)] for gap in gaps]
    largest = max((float(gap.max()) for gap in finite if len(gap)), default=0.0)
    return f"the largest difference is {largest:.1e} decades, over {len(both):,} rows"


def _metrics(run: Run, again: Run, ended: bool) -> Comparison:
    first, second = (each.metrics.drop(columns="seconds") for each in (run, again))
    if not ended:
        second = second[: len(first)]
    if first.equals(second):
        return Comparison("metrics.csv", True, "equal but for the seconds")
    if list(first["update"]) != list(second["update"]) or list(first) != list(second):
        return Comparison("metrics.csv", False, "has other rows or columns")
    unequal = [str(name) for name in first if not first[name].equals(second[name])]
    if (run.info.get("fleet") or 1) > 1 and np.allclose(first, second, rtol=_LAST_DIGIT, atol=0, equal_nan=True):
        return Comparison("metrics.csv", True, f"equal but for the seconds and the last digit of {', '.join(unequal)}")
    at = int(first["update"][(first[unequal] != second[unequal]).any(axis=1)].iloc[0])
    gap = max(float(((first[name] - second[name]) / second[name]).abs().max()) for name in unequal)
    return Comparison("metrics.csv", False, f"{', '.join(unequal)} differ from update {at} on, by {gap:.1e} at most")


def _weights(first: Mapping[str, Any], second: Mapping[str, Any]) -> Comparison:
    if first.keys() != second.keys() or any(first[name].shape != second[name].shape for name in first):
        return Comparison("weights", False, "have other names or shapes")
    if all(np.array_equal(first[name], second[name], equal_nan=True) for name in first):
        return Comparison("weights", True, "equal, bit for bit")
    largest = max(float(np.abs(first[name] - second[name]).max()) for name in first)
    return Comparison("weights", False, f"differ by {largest:.1e} at most")
