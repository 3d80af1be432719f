"""Whether the scan in Triton gives on this device what the cell's definition gives: asked once, before a training.

What compiles it is between two versions of Triton and a driver that no test here has seen together.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnnlab.cells import Cell
from rnnlab.errors import UsageError
from rnnlab.gradients.passes import Pass, Readings, Sequences, general_pass, triton_pass
from rnnlab.inits import Inits
from rnnlab.network.network import Network, Shape, draw
from rnnlab.network.objective import Objective

TOLERANCE = 1e-3
"""Relative; float32's own rounding over the few timesteps of the check is a hundredth of it."""
_CURE = "train.scan: general does without it"


def check_triton(cell: Cell, hidden: int, device: torch.device) -> None:
    """Raise UsageError if a small pass in Triton cannot be compiled, or differs from the general scan's."""
    shape = Shape(2, hidden, 1, 2, cell.needs_recurrent_bias)
    network = Network.stack(cell, shape, [draw(cell, shape, Inits(), seed) for seed in (0, 1)], torch.float32, device)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 6, 5, 2, generator=generator), torch.randn(2, 5, 2, generator=generator)
    lengths = torch.tensor([[6, 3, 5, 6, 1], [2, 6, 4, 6, 6]])
    batch = Sequences(x.to(device), y.to(device), lengths.to(device))
    objective = Objective("value", "last", per_timestep=False)
    exact = general_pass(network, batch, objective)
    try:
        found = triton_pass(network, batch, objective)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise UsageError(f"the scan in Triton does not run on {device} ({reason}); {_CURE}") from error
    if not (apart := _apart(found, exact)) <= TOLERANCE:
        message = f"the scan in Triton is {apart:.1e} off the cell's definition on {device}, and is not used; {_CURE}"
        raise UsageError(message)


def _apart(found: Pass, exact: Pass) -> float:
    """The largest relative difference of a parameter's gradient, or of a layer's row norms."""
    pairs = [(found.gradients[name].plain(), value.plain()) for name, value in exact.gradients.items()]
    for ours, theirs in zip(found.readings, exact.readings, strict=True):
        pairs += [(_norms(ours, state), _norms(theirs, state)) for state in theirs.squares]
    apart = torch.stack([(a - b).norm().double() / b.norm().double().clamp(min=1e-300) for a, b in pairs])
    return apart.max().item()


def _norms(readings: Readings, state: str) -> Tensor:
    return torch.ldexp(readings.squares[state].sqrt(), readings.exponents)
