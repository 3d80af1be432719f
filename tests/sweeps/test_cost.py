"""The cost of a run is held against what updates took on the machine of docs/BENCHMARKS.md."""

from __future__ import annotations

import pytest

from rnnlab.config import load_config
from rnnlab.sweeps.packing import cost_of

MEASURED = {
    ("lstm", 20, 100, 10, 1): 1.00,
    ("lstm", 20, 100, 50, 1): 1.91,
    ("lstm", 32, 100, 50, 1): 2.74,
    ("lstm", 4, 50, 50, 1): 0.32,
    ("lstm", 32, 100, 128, 1): 8.68,
    ("lstm", 32, 50, 256, 1): 15.2,
    ("lstm", 32, 50, 128, 2): 12.8,
    ("lstm", 200, 50, 50, 1): 8.04,
    ("rnn", 32, 100, 10, 1): 0.69,
    ("rnn", 32, 100, 50, 1): 1.34,
    ("rnn", 32, 100, 128, 1): 2.63,
    ("rnn", 32, 50, 128, 2): 4.00,
    ("gru", 20, 100, 50, 1): 1.70,
    ("gru", 32, 100, 128, 1): 6.74,
    ("gru", 200, 50, 50, 1): 6.95,
}
"""Milliseconds of processor time an update of one run, by cell, B, T, H and layers."""


@pytest.mark.parametrize("sizes", MEASURED)
def test_the_cost_of_an_update_is_what_it_took(sizes: tuple[str, int, int, int, int]) -> None:
    cell, batch, length, hidden, layers = sizes
    train = {"batch": batch, "updates": 100_000, "evaluate_every": 0, "evaluate_size": 1}
    config = {
        "task": {"name": "addition", "length": length},
        "model": {"cell": cell, "hidden": hidden, "layers": layers},
        "train": train,
    }
    update = cost_of([load_config(config)]) / 100_000
    assert 1 / 1.35 < update * 1000 / MEASURED[sizes] < 1.35


def test_the_cost_of_a_fleet_is_that_of_its_runs() -> None:
    configs = load_config({"task": "addition"}).seeded(0, 1, 2)
    assert cost_of(configs) == pytest.approx(3 * cost_of(configs[:1]))
