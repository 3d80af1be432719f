"""A forecast of a sweep before it runs: the runs to train, the number of fleets, the time and the disk space."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rnnlab.config.shape import shape_of
from rnnlab.machine import cores
from rnnlab.runs.index import Index
from rnnlab.sweeps.engines import Local
from rnnlab.sweeps.file import Sweep
from rnnlab.sweeps.fitting import FleetPlan
from rnnlab.sweeps.packing import PendingRun, cost_of
from rnnlab.sweeps.results import SweepOptions
from rnnlab.sweeps.status import sweep_status

_START = 4.0
"""Seconds until a worker's first update."""


@dataclass(frozen=True)
class PlannedRun:
    """A member of the sweep and its status: completed, diverged, failed, running, interrupted or new.

    >>> from rnnlab.sweeps.file import load_sweep
    >>> from rnnlab.sweeps.forecast import forecast
    >>> from rnnlab.sweeps.results import SweepOptions
    >>> sweep = load_sweep({"base": {"task": "addition"}, "seeds": 3})
    >>> run = forecast(sweep, SweepOptions(max_runs=0)).runs[0]
    >>> run.name, run.status, run.settings
    ('lstm-T100-s0', 'new', {'seed': 0})
    """

    name: str
    status: str
    identity: str
    settings: dict[str, object]


@dataclass(frozen=True)
class Forecast:
    """The status of all runs, and what the missing ones will take; seconds and bytes are estimates.

    >>> from rnnlab.sweeps.file import load_sweep
    >>> from rnnlab.sweeps.forecast import forecast
    >>> from rnnlab.sweeps.results import SweepOptions
    >>> sweep = load_sweep({"base": {"task": "addition"}, "seeds": 3})
    >>> estimate = forecast(sweep, SweepOptions(max_runs=0))
    >>> estimate.count, estimate.to_train, estimate.seconds
    ({'new': 3}, 0, 0.0)
    """

    runs: list[PlannedRun]
    count: dict[str, int]
    dropped: int
    to_train: int
    fleets: int
    seconds: float
    bytes: int
    memory: int
    """Bytes that the fleets that train at once take at their peak."""
    free: int
    """Bytes of memory that are free here."""
    refusal: str
    """Why a run is too large for this machine; empty if none is."""
    cores: int


def forecast(sweep: Sweep, options: SweepOptions, workers: int | None = None) -> Forecast:
    """The forecast of a sweep. Nothing is trained, and no run is changed."""
    with Index(options.out) as index:
        index.refresh()
        status = sweep_status(sweep, index, retry_failed=options.retry_failed)
    known = {run.spec.identity: (run.spec.name, "interrupted" if run.spec.resume else "new") for run in status.missing}
    entries = (*status.done, *status.failed, *status.running)
    known |= {entry.identity: (entry.name, entry.status) for entry in entries if entry.identity}
    runs = [PlannedRun(*known[member.identity], member.identity, dict(member.settings)) for member in sweep.members]
    pending = status.missing[: options.max_runs]
    engine = Local(workers or cores())
    plan = FleetPlan.of(pending, engine, together=options.fleets)
    count = dict(Counter(run.status for run in runs))
    at_once = min(workers or cores(), cores())
    seconds = _seconds([cost_of([run.config for run in fleet]) for fleet in plan.fleets], at_once)
    return Forecast(
        runs=runs,
        count=count,
        dropped=status.dropped,
        to_train=len(pending),
        fleets=len(plan.fleets),
        seconds=seconds,
        bytes=_bytes(pending),
        memory=plan.peak,
        free=plan.free,
        refusal=plan.refusal,
        cores=cores(),
    )


def _seconds(costs: list[float], at_once: int) -> float:
    """The time if each fleet goes to the first free worker and gets its share of the processor."""
    free = [0.0] * max(1, at_once)
    for cost in costs:
        first = free.index(min(free))
        free[first] += _START + cost * at_once / cores()
    return max(free) if costs else 0.0


def _bytes(pending: Sequence[PendingRun]) -> int:
    if not pending:
        return 0
    from rnnlab.training.plan import plan

    examples = {shape_of(run.config): run.config for run in pending}
    sizes = {shape: plan(config).bytes for shape, config in examples.items()}
    return sum(sizes[shape_of(run.config)] for run in pending)
