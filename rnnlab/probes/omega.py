"""Pascanu's Omega: how far the adjoint is from keeping its norm on its way back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from rnnlab.gradients.unrolled import LayerReplay
    from rnnlab.scan.general_backward import KeptRows

ROWS = 4096
"""Timesteps times sequences of a replica that are gone through at once, which bounds the memory."""


def spans(layer: LayerReplay) -> Iterator[range]:
    """The timesteps 1 to T-1, in parts of about ROWS rows."""
    _, T, B, _ = layer.x.shape
    step = max(1, ROWS // B)
    return (range(first, min(T, first + step)) for first in range(1, T, step))


def omega(layer: LayerReplay, adjoint: KeptRows, timesteps: range, *, differentiable: bool = False) -> Tensor:
    """sum_t (||J_t^T d_t|| / ||d_t|| - 1)^2 over some timesteps t >= 1 of one layer, mean over sequences: float64 [R].

    d_t = dL/ds_t and J_t = ds_t/ds_{t-1}, s all states of the cell side by side. A timestep counts where its sequence
    has it and d_t is not zero. differentiable: with respect to the layer's recurrent weights, all else held.
    """
    import torch

    span = slice(timesteps.start, timesteps.stop)
    d = adjoint.outputs.mantissa[:, span]
    size = torch.linalg.vector_norm(d, dim=-1)
    counted = (size > 0) & layer.alive[:, span]
    # States behind a sequence's end can be of any size; states[:, t] is s_{t-1}.
    x, s = (rows[:, span].where(counted[..., None], 0) for rows in (layer.x, layer.states))
    back = layer.map.pull(x.flatten(1, 2), s.flatten(1, 2), d.flatten(1, 2)[:, :, None], differentiable)
    # Where J_t^T d_t is zero the norm has no slope; torch's is 0 there.
    ratio = torch.linalg.vector_norm(back[:, :, 0].view_as(d), dim=-1) / size.where(counted, 1)
    return torch.where(counted, (ratio - 1).square(), 0).sum(1).mean(1)
