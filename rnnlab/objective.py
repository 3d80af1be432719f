"""Where the loss is, and what it is: from the top layer's states to one loss a replica."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

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
        index = (self.times.clamp(min=0) + shift)[..., None]
        return states.gather(1, index.expand(-1, -1, -1, states.shape[-1]))


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
        if self.kind == "class":
            flat = functional.cross_entropy(outputs.flatten(0, 2), targets.flatten(), reduction="none")
            each = flat.view(targets.shape)
        else:
            each = (outputs - targets).square().mean(-1)
        if self.placement != "all":
            return each.mean((1, 2))
        alive = places.times >= 0
        return each.where(alive, 0).sum((1, 2)) / alive.sum((1, 2))


def _one_place(t: int, lengths: Tensor) -> Tensor:
    return torch.full_like(lengths, t) if t >= 0 else lengths + t
