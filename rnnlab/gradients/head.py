"""Read-out and loss, and back to the top layer's states, in closed form: small, and never long."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rnnlab.logspace import Scaled
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective, Places

NEAR = 30
"""Sizes of gradients within 2^+-30 need no exponent, and then nothing has to be shifted later."""


class Head(NamedTuple):
    """What the read-out and the loss of a batch give, in float64 but for the gradients.

    losses [R]; outputs [R, S, B, O]; direct [R, S, B, H]: dL/dh through the read-out alone; gradients: of the
    read-out's W and b, in the dtype of the network.
    """

    losses: Tensor
    outputs: Tensor
    direct: Tensor
    gradients: dict[str, Scaled]


@torch.no_grad()
def head(network: Network, objective: Objective, places: Places, read: Tensor, targets: Tensor) -> Head:
    """The loss of states [R, S, B, H] at the places of the loss, and its gradients.

    With d = dL/d(outputs): dL/dh = d W^T,  dL/dW = sum h^T d,  dL/db = sum d. In float64: the gradient of a loss that
    is nearly zero begins below float32, and the scan can carry it from there.
    """
    W, b = (network.parameters[name] for name in ("readout.W", "readout.b"))
    wide, rows = W.double(), read.double().flatten(1, 2)
    flat = torch.baddbmm(b.double()[:, None], rows, wide)
    outputs = flat.view(*read.shape[:3], flat.shape[-1])
    losses, d = objective.slopes(outputs, targets, places)
    d = d.flatten(1, 2)
    direct = torch.bmm(d, wide.mT).view(read.shape)
    return Head(losses, outputs, direct, _narrow(torch.bmm(rows.mT, d), d.sum(1), W.dtype))


def _narrow(W: Tensor, b: Tensor, dtype: torch.dtype) -> dict[str, Scaled]:
    """The float64 gradients of W [R, H, O] and b [R, O] in this dtype, with one exponent where they are far from 1."""
    both = torch.cat([W.flatten(1), b], 1)
    largest = torch.linalg.vector_norm(both, torch.inf, dim=1)
    exponent = torch.zeros(len(W), dtype=torch.int64, device=W.device)
    if not all_near(largest):
        exponent = torch.frexp(largest.where(largest.isfinite(), 0)).exponent.long()
        exponent = exponent.where(exponent.abs() > NEAR, 0)
        both = Scaled(both, -exponent).plain()
    both = both.to(dtype)
    return {
        "readout.W": Scaled(both[:, : -b.shape[1]].view(W.shape), exponent),
        "readout.b": Scaled(both[:, -b.shape[1] :], exponent),
    }


def all_near(largest: Tensor) -> bool:
    """Whether numbers of these sizes are as good without an exponent: all within 2^+-30, or zero."""
    sizes = largest.cpu().numpy()
    if sizes.min() >= 0.5**NEAR and sizes.max() < 2.0**NEAR:
        return True
    return bool(((sizes == 0) | ((sizes >= 0.5 ** (NEAR + 1)) & (sizes < 2.0**NEAR))).all())
