"""One pass on any scan, and the cells and scans that a test runs over."""

from __future__ import annotations

import functools

import pytest
import torch
from oracles import ALL_CELLS, WITH_RULE, cell_name, loop

from rnnlab.cells import CELLS
from rnnlab.cells.fused_modes import FUSED_MODES
from rnnlab.gradients.passes import (
    FusedLayers,
    Pass,
    Scratch,
    Sequences,
    fast_pass,
    fused_pass,
    general_pass,
    triton_pass,
)
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective

LAST = Objective("class", "last", per_timestep=False)
# Clamps nothing here, and so adds the rows of dL/da_t without changing a gradient.
FAR = 1e6

SCANS = ("fast", "general")
FUSED_CELLS = list(FUSED_MODES.values())
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
    if scan == "fused":
        assert bound is None
        return fused_pass(network, batch, objective, FusedLayers(network))
    if scan == "triton":
        return triton_pass(network, batch, objective, bound=bound)
    return general_pass(network, batch, objective, bound=bound)


def norms(found: Pass, layer: int, state: str) -> torch.Tensor:
    readings = found.readings[layer]
    return torch.ldexp(readings.squares[state].sqrt(), readings.exponents)


def agree(found: Pass, network: Network, batch: Sequences, objective: Objective, tolerance: float = 1e-10) -> None:
    """Loss, every parameter gradient and every row norm of every adjoint equal the slow loop's."""
    close = functools.partial(torch.testing.assert_close, rtol=tolerance, atol=tolerance)
    for replica in range(network.replicas):
        answer = loop(network, batch, objective, replica)
        close(found.losses[replica], answer.loss)
        for name, gradient in answer.gradients.items():
            close(found.gradients[name].plain()[replica], gradient)
        for (layer, state), adjoint in answer.adjoints.items():
            close(norms(found, layer, state)[replica], adjoint.norm(dim=-1))
