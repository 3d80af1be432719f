"""Where the loss is, and what it is: from the top layer's states to one loss a replica."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

Placement = Literal["last", "all"] | int
"""The last timestep of each sequence, all its timesteps, or one chosen one (negative: from each sequence's end)."""


@dataclass(frozen=True)
class Places:
    """The S timesteps of each sequence that are read out.

    times [R, S, B]: the timestep of each place, -1 where a sequence has fewer. slots [R, T, B]: the place of each
    timestep, -1 where none is read out.
    """

    times: Tensor
    slots: Tensor

    def gather(self, states: Tensor, shift: int = 0) -> Tensor:
        """The rows at these places, shifted in time: [R, T', B, N] to [R, S, B, N]."""
        index = self._index_after if shift == 1 else self._index + shift
        return states.gather(1, index.expand(-1, -1, -1, states.shape[-1]))

    @cached_property
    def alive(self) -> Tensor | None:
        """Which places are one [R, S, B, 1]; None where all are."""
        alive = (self.times >= 0)[..., None]
        return None if alive.all() else alive

    @cached_property
    def counts(self) -> Tensor:
        """The number of places of each replica, float64 [R]."""
        return (self.times >= 0).sum((1, 2)).double()

    @cached_property
    def weights(self) -> Tensor:
        """What a place counts in its replica's mean, [R, 1, 1, 1]."""
        return (1 / self.counts)[:, None, None, None]

    @cached_property
    def _index_after(self) -> Tensor:
        return self._index + 1

    @cached_property
    def _index(self) -> Tensor:
        return self.times.clamp(min=0)[..., None]


@dataclass(frozen=True)
class Objective:
    """A loss placed on the sequence.

    Cross-entropy in nats (`class`) or squared error averaged over outputs (`value`); mean over the batch and, with
    placement `all`, over the timesteps of all sequences together.
    """

    kind: Literal["class", "value"]
    placement: Placement
    per_timestep: bool

    def places(self, lengths: Tensor, T: int) -> Places:
        """Which timesteps of sequences of these lengths [R, B] are read out."""
        clock = torch.arange(T, device=lengths.device)[None, :, None]
        alive = clock < lengths[:, None]
        if self.placement == "all":
            slots = torch.where(alive, clock, -1)
            return Places(slots, slots)
        at = lengths - 1 if self.placement == "last" else _one_place(self.placement, lengths)
        return Places(at[:, None], torch.where(clock == at[:, None], 0, -1))

    def targets(self, y: Tensor, places: Places) -> Tensor:
        """The targets at these places: y [R, B, ...] or, per timestep, [R, T, B, ...] to [R, S, B, ...]."""
        if not self.per_timestep:
            return y[:, None].expand(-1, places.times.shape[1], *(-1 for _ in y.shape[1:]))
        if self.kind == "class":
            return y.gather(1, places.times.clamp(min=0))
        return places.gather(y)

    def losses(self, outputs: Tensor, targets: Tensor, places: Places) -> Tensor:
        """The loss of each replica [R], from outputs [R, S, B, O] and their targets."""
        each = cross_entropy(outputs, targets) if self.kind == "class" else (outputs - targets).square().mean(-1)
        alive = places.times >= 0
        return each.where(alive, 0).sum((1, 2)) / alive.sum((1, 2))

    def slopes(self, outputs: Tensor, targets: Tensor, places: Places) -> tuple[Tensor, Tensor]:
        """The losses [R] and dL/d(outputs) [R, S, B, O] in closed form: what `losses` and autograd give.

        Over n places, `value`: 2 (output - target) / (n O); `class`: that of `cross_entropy`, over n.
        """
        if self.kind == "class":
            log_p = outputs.log_softmax(-1)
            each, d = (one * places.weights for one in (_surprise(log_p, targets), _confident(log_p, targets)))
        else:
            d = outputs - targets
            each, d = d, d * (places.weights * (2 / outputs.shape[-1]))
            each = each * d / 2
        if places.alive is not None:
            each, d = (one.where(places.alive, 0) for one in (each, d))
        return each.sum((1, 2, 3)), d


class _CrossEntropy(torch.autograd.Function):
    """-log softmax(outputs)[target], with a gradient that a confident network does not lose.

    dL/d(outputs_k) = p_k, and at the target y it is -sum_{k != y} p_k. The usual p_y - 1 is that too on paper; in
    float32 it is off by 0.16 decades where the target leads by 20 nats, and zero soon after.
    """

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, targets: Tensor) -> Tensor:
        log_p = outputs.log_softmax(-1)
        ctx.save_for_backward(log_p, targets)
        return _surprise(log_p, targets)[..., 0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        log_p, targets = ctx.saved_tensors
        return _confident(log_p, targets) * gradients[0][..., None], None


def _surprise(log_p: Tensor, targets: Tensor) -> Tensor:
    return -log_p.gather(-1, targets[..., None])


def _confident(log_p: Tensor, targets: Tensor) -> Tensor:
    at = targets[..., None]
    others = log_p.exp().scatter(-1, at, 0)
    return others.scatter(-1, at, -others.sum(-1, keepdim=True))


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Softmax cross-entropy in nats, outputs [..., O] and classes [...] to [...]."""
    loss: Tensor = _CrossEntropy.apply(outputs, targets)  # type: ignore[no-untyped-call]
    return loss


def _one_place(t: int, lengths: Tensor) -> Tensor:
    return torch.full_like(lengths, t) if t >= 0 else lengths + t
