"""The penalty `omega`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from rnnlab.penalties.base import Penalty, Term
from rnnlab.probes.omega import ROWS, omega, spans

if TYPE_CHECKING:
    from torch import Tensor

    from rnnlab.cells import Cell
    from rnnlab.gradients.unrolled import LayerReplay
    from rnnlab.probes import View
    from rnnlab.scan.general_backward import KeptRows


class Omega(Penalty):
    """Pascanu's regularizer: dL/ds_t is to keep its norm on its way back through each timestep.

    strength * Omega, Omega = sum_t (||J_t^T d_t|| / ||d_t|| - 1)^2, d_t = dL/ds_t and J_t = ds_t/ds_{t-1}, over the
    timesteps t >= 1 and the layers, mean over the batch's sequences; s is h, with c for the LSTM. Its gradient is the
    immediate one alone: with respect to the recurrent weights inside J_t, while x_t, s_{t-1} and d_t are held. Value
    and gradient are computed in float64 whatever the dtype of the network, from a pass of their own; the probe
    `recurrent` measures the same Omega.

    >>> Omega(strength=0.5).due(7)
    True
    """

    source: ClassVar[str] = (
        "Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013, arXiv:1211.5063, "
        "equations 9 and 10"
    )

    unrolls: ClassVar[bool] = True

    name: Literal["omega"] = "omega"
    strength: float = Field(default=1.0, gt=0, le=1e9, description="Factor of Omega beside the loss.")

    def reason_against(self, cell: Cell) -> str | None:
        return None if cell.recurrent else "has no recurrent weights, whose gradient this is"

    def rows_at_once(self, timesteps: int, sequences: int) -> int:
        return min(timesteps * sequences, max(ROWS, sequences))

    def measure(self, view: View) -> Term:
        layers, adjoints = view.replay(), view.unrolled.rows
        assert adjoints is not None
        values, gradients = np.zeros(len(view.lengths)), []
        for layer, adjoint in zip(layers, adjoints, strict=True):
            value, of_weights = _of_layer(layer, adjoint)
            values += value.numpy()
            gradients.append({name: self.strength * part for name, part in of_weights.items()})
        return Term(self.strength * values, gradients)


def _of_layer(layer: LayerReplay, adjoint: KeptRows) -> tuple[Tensor, dict[str, Tensor]]:
    """Omega [R] of one layer, and its gradient with respect to each recurrent weight."""
    import torch

    weights = layer.map.layer
    leaves = {name: W.detach().clone().requires_grad_() for name, W in weights.recurrent.items()}
    learning = replace(layer, map=layer.map.over(replace(weights, recurrent=leaves)))
    total = torch.zeros(len(layer.lengths), dtype=torch.float64)
    sums = {name: torch.zeros_like(W) for name, W in weights.recurrent.items()}
    for span in spans(layer):
        part = omega(learning, adjoint, span, differentiable=True)
        total += part.detach()
        parts = torch.autograd.grad(part.sum(), [*leaves.values()], allow_unused=True, materialize_grads=True)
        for name, gradient in zip(leaves, parts, strict=True):
            sums[name] += gradient
    return total, sums
