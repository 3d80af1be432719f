"""One pass on either scan, and the cells and scans that a test runs over."""

from __future__ import annotations

import pytest
from oracles import ALL_CELLS

from rnnlab.gradients.passes import Pass, Scratch, Sequences, fast_pass, general_pass
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective

LAST = Objective("class", "last", per_timestep=False)
# Clamps nothing here, and so adds the rows of dL/da_t without changing a gradient.
FAR = 1e6

every_cell = pytest.mark.parametrize("cell", ALL_CELLS, ids=lambda cell: "-".join(cell.model_dump().values()))
both_scans = pytest.mark.parametrize("scan", ["fast", "general"])


def run(scan: str, network: Network, batch: Sequences, objective: Objective, bound: float | None = None) -> Pass:
    if scan == "fast":
        return fast_pass(network, batch, objective, Scratch(network.shape.layers), bound=bound)
    return general_pass(network, batch, objective, bound=bound)
