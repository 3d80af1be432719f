"""What a sweep will take, before it runs: which runs are to train, in how many fleets, how long, on how much disk."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from rnnlab.config.shape import shape_of
from rnnlab.engines.base import cores
from rnnlab.fleets import Todo, cost_of, fleets_of
from rnnlab.index import Index
from rnnlab.survey import survey
from rnnlab.sweeping import Order
from rnnlab.sweeps import Sweep

_START = 4.0
"""Seconds that a worker takes until its first update."""


@dataclass(frozen=True)
class Planned:
    """A run of the set, and how it stands: completed, diverged, failed, running, interrupted or new."""

    name: str
    status: str
    identity: str
    settings: dict[str, object]


@dataclass(frozen=True)
class Forecast:
    """What is there and what the rest will take; seconds and bytes are estimates."""

    runs: list[Planned]
    count: dict[str, int]
    dropped: int
    to_train: int
    fleets: int
    seconds: float
    bytes: int
    cores: int


def forecast(sweep: Sweep, order: Order, workers: int | None = None) -> Forecast:
    """Look at the folder and count; nothing is trained, and no run is touched."""
    with Index(order.out) as index:
        index.refresh()
        found = survey(sweep, index, retry_failed=order.retry_failed)
    standing = {entry.identity: entry for entry in (*found.done, *found.failed, *found.running)}
    names = {item.identity: (item.name, "interrupted" if item.again else "new") for _, item in found.missing}
    names |= {identity: (entry.name, entry.status) for identity, entry in standing.items() if identity}
    runs = [Planned(*names[one.identity], one.identity, dict(one.settings)) for one in sweep.members]
    todo = found.missing[: order.max_runs]
    fleets = fleets_of(todo, together=order.fleets)
    count = dict(Counter(run.status for run in runs))
    at_once = min(workers or cores(), cores())
    seconds = _seconds([cost_of([config for config, _ in fleet]) for fleet in fleets], at_once)
    return Forecast(runs, count, found.dropped, len(todo), len(fleets), seconds, _bytes(todo), cores())


def _seconds(costs: list[float], at_once: int) -> float:
    """The fleets dealt out as they become free; a fleet has its share of the processor."""
    free = [0.0] * max(1, at_once)
    for cost in costs:
        first = free.index(min(free))
        free[first] += _START + cost * at_once / cores()
    return max(free) if costs else 0.0


def _bytes(todo: list[Todo]) -> int:
    if not todo:
        return 0
    from rnnlab.plan import plan

    like = {shape_of(config): config for config, _ in todo}
    sizes = {shape: plan(config).bytes for shape, config in like.items()}
    return sum(sizes[shape_of(config)] for config, _ in todo)
