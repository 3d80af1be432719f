"""What a run will take, and which of its updates are logged and evaluated."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from rnnlab.config import Config
from rnnlab.runs.columns import GRADIENT_ROW_BYTES, TABLE_ROW_BYTES, metrics_row_bytes
from rnnlab.training.device import check_tf32, choose_device, choose_scan
from rnnlab.training.fleet import network_shape
from rnnlab.training.memory import forecast_memory


@dataclass(frozen=True)
class Plan:
    """What a run will take, known before it starts.

    >>> from rnnlab.config import load_config
    >>> planned = plan(load_config({"task": "addition", "model": {"hidden": 10}, "device": "cpu"}))
    >>> planned.parameters, planned.updates, planned.scan
    (531, 1000, 'fast')
    """

    parameters: int
    updates: int
    gradient_rows: int
    metrics_rows: int
    probe_rows: int
    bytes: int
    memory: int
    """Bytes at the peak, as `training/memory.py` forecasts them."""
    scan: str
    device: str


def plan(config: Config) -> Plan:
    """Count parameters, rows and bytes of a run without training; a stop rule may end it sooner."""
    shape, cell, updates = network_shape(config), config.model.build_cell(), updates_of(config)
    G, H = len(cell.gates), shape.hidden
    below = shape.inputs + (shape.layers - 1) * H
    of_layers = G * H * (below + shape.layers * (1 + shape.recurrent_bias)) + shape.layers * cell.recurrent_count(H)
    parameters = of_layers + (H + 1) * shape.outputs
    device = choose_device(config.device)
    due = config.probe.schedule.due_updates(updates)
    logged = count_of_any([due, *_logged(config, updates)])
    probes = config.probe.probes()
    rows = len(due) * sum(probe.gradient_rows(config) for probe in probes)
    itemsize = 4 if config.dtype == "float32" else 8
    table_rows = len(due) * sum(probe.table_rows(config) for probe in probes)
    size = (
        rows * GRADIENT_ROW_BYTES
        + table_rows * TABLE_ROW_BYTES
        + logged * metrics_row_bytes(probes, penalty=config.penalised)
        + 3 * parameters * itemsize
    )
    scan = choose_scan(config, device)
    check_tf32(config, device)
    memory = forecast_memory([config], threads=torch.get_num_threads(), fast=scan != "general").peak
    return Plan(parameters, updates, rows, logged, table_rows, size, memory, scan, str(device))


def updates_of(config: Config) -> int:
    """The number of updates, from `train.updates` or from `train.epochs` and the size of the training set."""
    if config.train.updates is not None:
        return config.train.updates
    assert config.train.epochs is not None
    return config.train.epochs * _updates_an_epoch(config)


def _updates_an_epoch(config: Config) -> int:
    size = config.task.stream(config.seed, config.dtype).size
    assert size is not None
    return max(1, size // config.train.batch)


def is_logged(config: Config, update: int, updates: int) -> bool:
    """Whether metrics.csv gets a row for this update, the probes' schedule aside."""
    every = config.train.log_every
    return bool(every and update % every == 0) or is_evaluated(config, update, updates)


def is_evaluated(config: Config, update: int, updates: int) -> bool:
    """Whether the network is evaluated after this update: every `train.evaluate_every`, and after the last."""
    every = config.train.evaluate_every
    return update + 1 == updates or (bool(every) and (update + 1) % every == 0)


def _logged(config: Config, updates: int) -> list[range]:
    """The updates for which `is_logged` holds, as ranges."""
    log_every, evaluate_every = config.train.log_every, config.train.evaluate_every
    ranges = [range(updates - 1, updates)]
    ranges += [range(0, updates, log_every)] if log_every else []
    return ranges + ([range(evaluate_every - 1, updates, evaluate_every)] if evaluate_every else [])


def count_of_any(collections: Iterable[Sequence[int]]) -> int:
    """How many numbers lie in any of these; ascending ranges are counted by arithmetic, the rest one by one."""
    lists = list(collections)
    ranges = [numbers for numbers in lists if isinstance(numbers, range)]
    listed = {number for numbers in lists if not isinstance(numbers, range) for number in numbers}
    count = sum(not any(number in numbers for numbers in ranges) for number in listed)
    # Inclusion and exclusion: what lies in an even number of them is counted once too often.
    for size in range(1, len(ranges) + 1):
        for chosen in itertools.combinations(ranges, size):
            count += (-1) ** (size + 1) * len(functools.reduce(in_both, chosen))
    return count


def in_both(first: range, second: range) -> range:
    """The numbers of two ascending ranges that lie in both (the Chinese remainder theorem)."""
    common = math.gcd(first.step, second.step)
    offset, misses = divmod(second.start - first.start, common)
    if misses:
        return range(0)
    factor = second.step // common
    step = first.step * factor
    start = first.start + first.step * (offset * pow(first.step // common, -1, factor) % factor)
    start += step * max(0, -(-(second.start - start) // step))
    return range(start, min(first.stop, second.stop), step)
