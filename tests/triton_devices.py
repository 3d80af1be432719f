"""Where the kernels in Triton are tested: in its interpreter, on the CPU's memory, or on a CUDA device.

Whether a kernel is interpreted is decided when its module is imported, so each has processes of its own: `make
test-triton` sets TRITON_INTERPRET=1, and with a device plain pytest runs the same tests there.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest
import torch
from oracles import F64, FAST_CELLS

from rnnlab.gradients.passes import Sequences
from rnnlab.network.network import Network

HAS_TRITON = find_spec("triton") is not None
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
F32 = torch.float32
TRITON_CELLS = [cell for cell in FAST_CELLS if (rule := cell.rule()) is not None and rule.name]
"""Those whose rule stands in Triton too, which their rule's name says."""

interpreter = pytest.param(
    "cpu",
    id="interpreter",
    marks=pytest.mark.skipif(not (HAS_TRITON and INTERPRETED), reason="in Triton's interpreter: make test-triton"),
)
cuda = pytest.param(
    "cuda",
    marks=[
        pytest.mark.cuda,
        pytest.mark.skipif(
            not (HAS_TRITON and torch.cuda.is_available()) or INTERPRETED, reason="needs Triton and a CUDA device"
        ),
    ],
)
on_devices = pytest.mark.parametrize("device", [interpreter, cuda])


def in_float32(network: Network, batch: Sequences, device: str) -> tuple[Network, Sequences]:
    """The same in float32 on this device."""
    parameters = {name: value.to(device, F32) for name, value in network.parameters.items()}
    y = batch.y.float() if batch.y.is_floating_point() else batch.y
    moved = Sequences(batch.x.to(device, F32), y.to(device), batch.lengths.to(device))
    return Network(network.cell, network.shape, parameters), moved


def rounded(network: Network, batch: Sequences) -> tuple[Network, Sequences]:
    """The same in float64, of numbers that float32 holds: both formats then compute one function."""
    for value in network.parameters.values():
        value.copy_(value.float())
    y = batch.y.float().double() if batch.y.is_floating_point() else batch.y
    return network, Sequences(batch.x.float().to(F64), y, batch.lengths)
