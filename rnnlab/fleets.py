"""From runs that are missing to jobs: which runs train together, what they cost, and which comes first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rnnlab.config.shape import shape_of
from rnnlab.jobs import Item

if TYPE_CHECKING:
    from rnnlab.config import Config

MOST = 32
"""Runs in a fleet: beyond this a fleet gains no more by its size (docs/BENCHMARKS.md), and a death loses more."""
_MEMORY = 2**30

Todo = tuple["Config", Item]


def fleets_of(todo: Iterable[Todo], *, together: bool = True) -> list[list[Todo]]:
    """The runs as fleets of one shape, the costliest first, so that the last ones to end are short."""
    groups: dict[str, list[Todo]] = defaultdict(list)
    for number, one in enumerate(todo):
        groups[shape_of(one[0]) if together else str(number)].append(one)
    fleets = [fleet for group in groups.values() for fleet in _parts(group)]
    return sorted(fleets, key=lambda fleet: -cost_of([config for config, _ in fleet]))


def _parts(group: list[Todo]) -> Iterator[list[Todo]]:
    """A group cut into fleets of about one size, neighbours being alike in clip and optimizer: they go in one call."""
    alike = sorted(group, key=lambda one: (one[0].clip.name, repr(one[0].optimizer), one[0].seed, one[1].name))
    most = max(1, min(MOST, _MEMORY // max(1, bytes_of(group[0][0]))))
    count = -(-len(alike) // most)
    for k in range(count):
        yield alike[len(alike) * k // count : len(alike) * (k + 1) // count]


def bytes_of(config: Config) -> int:
    """About how much memory a replica's scan takes while it trains."""
    model, itemsize = config.model, 8 if config.dtype == "float64" else 4
    gates = len(model.build_cell().gates)
    return config.task.timesteps * config.train.batch * model.hidden * model.layers * (gates + 4) * itemsize


def cost_of(configs: Sequence[Config]) -> float:
    """About how many seconds these runs take on one core: products, what is done a number, and a little a timestep.

    The rates are those of docs/BENCHMARKS.md on one core of a recent server; a stop rule may end a run sooner.
    """
    return sum(map(_cost, configs))


def _cost(config: Config) -> float:
    model, train, T = config.model, config.train, config.task.timesteps
    G, H = len(model.build_cell().gates), model.hidden
    below = config.task.inputs + (model.layers - 1) * H
    products = 2 * G * H * (below + model.layers * H)
    sequence = T * (products / 6e10 + model.layers * G * H * 2.5e-9)
    updates = train.updates if train.updates is not None else 200 * (train.epochs or 1)
    evaluations = 2 + (updates // train.evaluate_every if train.evaluate_every else 0)
    # A forward pass is a third of an update. What an update takes besides its sequences is 0.1 ms or so a run.
    return updates * (3 * train.batch * sequence + 1e-4) + evaluations * train.evaluate_size * sequence
