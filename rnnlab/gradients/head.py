"""Read-out and loss, and back to the top layer's states, in closed form: small, and never long."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rnnlab.network.network import Network
from rnnlab.network.objective import Objective, ReadOut
from rnnlab.scan.scaled import Scaled


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
def head(network: Network, objective: Objective, read_out: ReadOut, read: Tensor, targets: Tensor) -> Head:
    """The loss of states `read` [R, S, B, H] at the read-out timesteps, and its gradients.

    With d = dL/d(outputs): dL/dh = d W^T,  dL/dW = sum h^T d,  dL/db = sum d. In float64: the gradient of a loss that
    is nearly zero begins below float32, and the scan can carry it from there.
    """
    W, b = (network.parameters[name] for name in ("readout.W", "readout.b"))
    wide, rows = W.double(), read.double().flatten(1, 2)
    flat = torch.baddbmm(b.double()[:, None], rows, wide)
    outputs = flat.view(*read.shape[:3], flat.shape[-1])
    losses, d = objective.slopes(outputs, targets, read_out)
    d = d.flatten(1, 2)
    direct = torch.bmm(d, wide.mT).view(read.shape)
    return Head(losses, outputs, direct, _narrow(torch.bmm(rows.mT, d), d.sum(1), W.dtype))


def _narrow(W: Tensor, b: Tensor, dtype: torch.dtype) -> dict[str, Scaled]:
    """The float64 gradients of W [R, H, O] and b [R, O] in this dtype, with one exponent [R] for both."""
    both, exponent = Scaled.near(torch.cat([W.flatten(1), b], 1), dtype)
    return {
        "readout.W": Scaled(both[:, : -b.shape[1]].view(W.shape), exponent),
        "readout.b": Scaled(both[:, -b.shape[1] :], exponent),
    }
