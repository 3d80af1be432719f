"""Divides pending runs into fleets, estimates their cost, and puts the fleets in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rnnlab.config.shape import shape_of
from rnnlab.sweeps.jobs import RunSpec
from rnnlab.training.memory import forecast_memory

if TYPE_CHECKING:
    from rnnlab.config import Config

LARGEST_FLEET = 32
"""Runs in a fleet. A larger fleet is not faster (docs/BENCHMARKS.md), and loses more when its process dies."""
_MEMORY = 2**30
_PRODUCTS, _GATE, _ROW, _TIMESTEP = 2.5e11, 7e-10, 4.3e-8, 3e-6
"""Rates of one core of the machine of docs/BENCHMARKS.md: operations of matrix products in a second; seconds for a unit
of a gate, for a timestep of a sequence and for a timestep of a layer, whatever the batch. Fitted to the processor time
of fleets of 1 to 8 runs, B 4 to 200, T 50 and 100, H 10 to 256, 1 and 2 layers of each cell: within a quarter."""


class PendingRun(NamedTuple):
    """A run that is to be trained: its config, and what an engine needs to know about it.

    >>> from rnnlab.runs.index import Index
    >>> from rnnlab.sweeps.file import load_sweep
    >>> from rnnlab.sweeps.packing import fleets_of
    >>> from rnnlab.sweeps.status import sweep_status
    >>> with Index("runs") as index:
    ...     status = sweep_status(load_sweep({"base": {"task": "addition"}, "seeds": 3}), index)
    >>> [[run.spec.name for run in fleet] for fleet in fleets_of(status.missing)]
    [['lstm-T100-s0', 'lstm-T100-s1', 'lstm-T100-s2']]
    """

    config: Config
    spec: RunSpec


def fleets_of(
    pending: Iterable[PendingRun], *, together: bool = True, memory: int | None = None
) -> list[list[PendingRun]]:
    """The runs as fleets of one shape, the most expensive first, so that the last ones to end are short.

    memory: bytes that a fleet may take at its peak; one that would take more is divided, down to single runs. Runs on
    the fused scan, which is for one, are fleets of one.
    """
    groups: dict[str, list[PendingRun]] = defaultdict(list)
    for number, run in enumerate(pending):
        alone = not together or run.config.train.scan == "fused"
        groups[str(number) if alone else shape_of(run.config)].append(run)
    fleets = [fleet for group in groups.values() for fleet in _split(group, memory)]
    return sorted(fleets, key=lambda fleet: -cost_of([run.config for run in fleet]))


def _split(group: list[PendingRun], memory: int | None) -> Iterator[list[PendingRun]]:
    """A group in fleets of about equal size. Runs with the same clip and optimizer are neighbours, for one call."""
    ordered = sorted(
        group, key=lambda run: (run.config.clip.name, repr(run.config.optimizer), run.config.seed, run.spec.name)
    )
    most = max(1, min(LARGEST_FLEET, _MEMORY // max(1, bytes_of(group[0].config))))
    if memory is not None:
        most = _most_within(memory, group[0].config, min(most, len(group)))
    count = -(-len(ordered) // most)
    for k in range(count):
        yield ordered[len(ordered) * k // count : len(ordered) * (k + 1) // count]


def _most_within(memory: int, config: Config, most: int) -> int:
    """How many runs like this one train together in so many bytes: at least one, at most `most`."""
    fits = (count for count in range(most, 1, -1) if forecast_memory([config] * count).peak <= memory)
    return next(fits, 1)


def bytes_of(config: Config) -> int:
    """About how much memory a replica's scan keeps: how runs are divided where there is memory for all of them."""
    model, itemsize = config.model, 8 if config.dtype == "float64" else 4
    gates = len(model.build_cell().gates)
    return config.task.timesteps * config.train.batch * model.hidden * model.layers * (gates + 4) * itemsize


def cost_of(configs: Sequence[Config]) -> float:
    """About how many seconds these runs take on one core, at the rates below; a stop rule may end a run sooner."""
    return sum(map(_cost, configs))


def _cost(config: Config) -> float:
    model, train, T = config.model, config.train, config.task.timesteps
    G, H = len(model.build_cell().gates), model.hidden
    below = config.task.inputs + (model.layers - 1) * H
    products = 2 * G * H * (below + model.layers * H)
    sequence = T * (products / _PRODUCTS + model.layers * (G * H * _GATE + _ROW))
    updates = train.updates if train.updates is not None else 200 * (train.epochs or 1)
    evaluations = 2 + (updates // train.evaluate_every if train.evaluate_every else 0)
    # A forward pass is a third of an update.
    return updates * (3 * train.batch * sequence + T * model.layers * _TIMESTEP) + (
        evaluations * train.evaluate_size * sequence
    )
