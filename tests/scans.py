"""One pass on either scan, and the cells and scans that a test runs over."""

from __future__ import annotations

import pytest
from oracles import ALL_CELLS, WITH_RULE, cell_name

from rnnlab.cells import CELLS
from rnnlab.gradients.passes import Pass, Scratch, Sequences, fast_pass, general_pass, triton_pass
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective

LAST = Objective("class", "last", per_timestep=False)
# Clamps nothing here, and so adds the rows of dL/da_t without changing a gradient.
FAR = 1e6

SCANS = ("fast", "general")
both_scans = pytest.mark.parametrize("scan", SCANS)
cells_and_scans = pytest.mark.parametrize(
    ("cell", "scan"), [(name, scan) for name in CELLS for scan in SCANS if scan == "general" or name in WITH_RULE]
)
cells_and_their_scans = pytest.mark.parametrize(
    ("cell", "scan"),
    [(cell, scan) for cell in ALL_CELLS for scan in SCANS if scan == "general" or cell.rule() is not None],
    ids=lambda value: value if isinstance(value, str) else cell_name(value),
)


def run(scan: str, network: Network, batch: Sequences, objective: Objective, bound: float | None = None) -> Pass:
    if scan == "fast":
        return fast_pass(network, batch, objective, Scratch(network.shape.layers), bound=bound)
    if scan == "triton":
        return triton_pass(network, batch, objective, bound=bound)
    return general_pass(network, batch, objective, bound=bound)
