"""The penalty `floss`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from rnnlab.penalties.base import Penalty, Term
from rnnlab.probes.lyapunov import WARM_UP

if TYPE_CHECKING:
    from torch import Tensor

    from rnnlab.gradients.unrolled import LayerReplay
    from rnnlab.probes import View
    from rnnlab.scan.state_map import StateMap


class Floss(Penalty):
    """Gradient flossing: the largest Lyapunov exponents of each layer along the batch's sequences are drawn to zero.

    strength * mean_i lambda_i^2 over the first k finite-time exponents, in nats a timestep, mean over the sequences
    that are followed, summed over layers. With Q_0 = I and the QR decompositions J_t Q_{t-1} = Q_t R_t, lambda_i is the
    mean of log |(R_t)_ii| over timesteps; as in the probe `lyapunov`, the first quarter of a sequence turns Q only. The
    gradient is the whole one, through the Jacobians and the states at which they are taken, in float64, for all
    parameters but the read-out's. A sequence along which the first k directions do not stay independent in float64, as
    where units are dead, has no such gradient and is left out; where none is left the penalty is nan and adds nothing.

    >>> [update for update in range(7) if Floss(every=3).due(update)]
    [0, 3, 6]
    """

    source: ClassVar[str] = (
        "Engelken, Gradient flossing: improving gradient descent through dynamic control of Jacobians, 2023, "
        "arXiv:2312.17306"
    )

    name: Literal["floss"] = "floss"
    strength: float = Field(default=1.0, gt=0, le=1e9, description="Factor of the mean square beside the loss.")
    exponents: int = Field(default=10, ge=1, le=10**6, description="How many, k; no more than a layer has states.")
    every: int = Field(default=1, ge=1, le=10**9, description="Updates from one at which it acts to the next.")
    samples: int = Field(default=2, ge=1, le=10**6, description="Sequences of the batch that are followed, its first.")
    alone: int = Field(default=0, ge=0, le=10**9, description="Updates at first that follow it without the loss.")

    def due(self, update: int) -> bool:
        return self.is_alone(update) or update % self.every == 0

    def is_alone(self, update: int) -> bool:
        return update < self.alone

    def rows_at_once(self, timesteps: int, sequences: int) -> int:
        return timesteps * min(sequences, self.samples) * self.exponents

    def measure(self, view: View) -> Term:
        import torch

        layers, total = view.replay(self.samples), torch.zeros(len(view.lengths), dtype=torch.float64)
        x, learned = layers[0].x, []
        with torch.enable_grad():
            for layer in layers:
                learned.append(_learning(layer))
                exponents, x = followed(learned[-1], x, layer.lengths, self.exponents)
                total = total + _mean_square(exponents)
        leaves = [mapped.layer.parameters() for mapped in learned]
        wanted = [leaf for named in leaves for leaf in named.values()]
        # A replica without a value has no gradient.
        sum_of_values = total.nan_to_num(0).sum()
        parts = iter(torch.autograd.grad(sum_of_values, wanted, allow_unused=True, materialize_grads=True))
        gradients = [{name: self.strength * next(parts) for name in named} for named in leaves]
        return Term(self.strength * total.detach().numpy(), gradients)


def _learning(layer: LayerReplay) -> StateMap:
    """The layer's map with parameters that are leaves of autograd."""
    weights = layer.map.layer
    leaves = {name: W.detach().clone().requires_grad_() for name, W in weights.parameters().items()}
    recurrent = {name: leaves[name] for name in weights.recurrent}
    own = replace(weights, W_ih=leaves["W_ih"], recurrent=recurrent, b=leaves["b"], b_hh=leaves.get("b_hh"))
    return layer.map.over(own)


def followed(mapped: StateMap, x: Tensor, lengths: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The first k exponents of each sequence of a layer [R, B, k], and its hidden states [R, T, B, H]; differentiable.

    x [R, T, B, I], lengths [R, B]. nan where the directions do not stay independent.
    """
    import torch

    R, T, B, _ = x.shape
    N, count = mapped.size, min(k, mapped.size)
    s, Q = x.new_zeros(R, B, N), torch.eye(N, dtype=x.dtype)[:, :count].expand(R, B, N, count)
    first = (WARM_UP * lengths).long()
    sums, fine, states = x.new_zeros(R, B, count), torch.ones(R, B, dtype=torch.bool), []
    for t in range(T):
        after, turned = _pushed(mapped, x[:, t], s, Q)
        alive, whole = t < lengths, _independent(turned)
        fine = fine & (whole | ~alive)
        goes_on = (alive & whole)[..., None]
        # What is not followed any further stays at a finite place, whose slopes are then not asked for.
        s = after.where(alive[..., None], s)
        Q, upper = torch.linalg.qr(turned.where(goes_on[..., None], Q))
        growth = upper.diagonal(dim1=-2, dim2=-1).abs().log()
        sums = sums + growth.where(goes_on & (t >= first)[..., None], 0)
        states.append(s)
    exponents = sums / (lengths - first)[..., None]
    h = torch.stack(states, 1).chunk(len(mapped.cell.states), -1)[0]
    return exponents.where(fine[..., None], torch.nan), h


def _pushed(mapped: StateMap, x: Tensor, s: Tensor, Q: Tensor) -> tuple[Tensor, Tensor]:
    """s_t [R, B, N], and J_t Q [R, B, N, k]."""
    import torch

    R, B, N, k = Q.shape
    rows, inputs = (part[:, :, None].expand(R, B, k, -1).flatten(1, 2) for part in (s, x))
    rows = rows if rows.requires_grad else rows.requires_grad_()
    after = mapped(inputs, rows)
    # By two passes back, the second through the first, which is linear in the weights. torch's forward mode loads its
    # deprecated compiler for it.
    weights = torch.zeros_like(after, requires_grad=True)
    (back,) = torch.autograd.grad(after, rows, weights, create_graph=True, allow_unused=True, materialize_grads=True)
    (pushed,) = torch.autograd.grad(
        back, weights, Q.mT.flatten(1, 2), create_graph=True, allow_unused=True, materialize_grads=True
    )
    return after.view(R, B, k, N)[:, :, 0], pushed.view(R, B, k, N).mT


def _independent(columns: Tensor) -> Tensor:
    """Whether columns [R, B, N, k] are finite and, as far as float64 can tell, linearly independent: [R, B]."""
    import torch

    finite = columns.isfinite().all(-1).all(-1)
    upper = torch.linalg.qr(columns.detach().nan_to_num(0, 0, 0)).R.diagonal(dim1=-2, dim2=-1).abs()
    smallest = columns.shape[-2] * np.finfo(np.float64).eps * upper.amax(-1)
    independent: Tensor = finite & (upper.amin(-1) > smallest)
    return independent


def _mean_square(exponents: Tensor) -> Tensor:
    """The mean over exponents and over the sequences that have them, [R]; nan where none has."""
    fine = ~exponents.isnan().any(-1)
    squares = exponents.where(fine[..., None], 0).square().mean(-1)
    return squares.sum(1) / fine.sum(1)
