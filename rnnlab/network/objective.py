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
class ReadOut:
    """The read-out timesteps: the S timesteps of each sequence at which the loss reads the states.

    >>> last = ReadOut(timesteps=torch.tensor([[[2]]]), slots=torch.tensor([[[-1], [-1], [0]]]))
    >>> last.gather(torch.arange(3.0).view(1, 3, 1, 1))
    tensor([[[[2.]]]])
    """

    timesteps: Tensor
    """int64 [R, S, B], in the order of time; -1 where a sequence has fewer than S."""
    slots: Tensor
    """int64 [R, T, B]: the index on the axis S of each timestep; -1 where it is not read out."""

    def gather(self, states: Tensor, shift: int = 0) -> Tensor:
        """The rows at the read-out timesteps, shifted in time: [R, T', B, N] to [R, S, B, N]."""
        index = self._index_after if shift == 1 else self._index + shift
        return states.gather(1, index.expand(-1, -1, -1, states.shape[-1]))

    def at_all_timesteps(self, logs: Tensor) -> Any:
        """log10 values [R, S, B] at the read-out timesteps, as numpy's [R, T, B]: -inf where nothing is read out."""
        at_all = logs.gather(1, self.slots.clamp(min=0)).where(self.slots >= 0, -torch.inf)
        return at_all.detach().cpu().numpy()

    @cached_property
    def alive(self) -> Tensor | None:
        """Which of the S are a timestep of the sequence, [R, S, B, 1]; None where all are."""
        alive = (self.timesteps >= 0)[..., None]
        return None if alive.all() else alive

    @cached_property
    def counts(self) -> Tensor:
        """How many read-outs a replica has, float64 [R]."""
        return (self.timesteps >= 0).sum((1, 2)).double()

    @cached_property
    def weights(self) -> Tensor:
        """The weight of a read-out in its replica's mean, [R, 1, 1, 1]."""
        return (1 / self.counts)[:, None, None, None]

    @cached_property
    def _index_after(self) -> Tensor:
        return self._index + 1

    @cached_property
    def _index(self) -> Tensor:
        return self.timesteps.clamp(min=0)[..., None]


@dataclass(frozen=True)
class Objective:
    """A loss placed on the sequence.

    Cross-entropy in nats (`class`) or squared error averaged over outputs (`value`); mean over the batch and, with
    placement `all`, over the timesteps of all sequences together.

    >>> objective = Objective("value", "last", per_timestep=False)
    >>> objective.read_out(lengths=torch.tensor([[2, 3]]), T=3).timesteps
    tensor([[[1, 2]]])
    """

    kind: Literal["class", "value"]
    placement: Placement
    per_timestep: bool

    def read_out(self, lengths: Tensor, T: int) -> ReadOut:
        """Which of T timesteps are read out of sequences of these lengths [R, B]."""
        clock = torch.arange(T, device=lengths.device)[None, :, None]
        alive = clock < lengths[:, None]
        if self.placement == "all":
            slots = torch.where(alive, clock, -1)
            return ReadOut(slots, slots)
        at = lengths - 1 if self.placement == "last" else _chosen(self.placement, lengths)
        return ReadOut(at[:, None], torch.where(clock == at[:, None], 0, -1))

    def targets(self, y: Tensor, read_out: ReadOut) -> Tensor:
        """The targets at the read-out timesteps: y [R, B, ...] or, per timestep, [R, T, B, ...] to [R, S, B, ...]."""
        if not self.per_timestep:
            return y[:, None].expand(-1, read_out.timesteps.shape[1], *(-1 for _ in y.shape[1:]))
        if self.kind == "class":
            return y.gather(1, read_out.timesteps.clamp(min=0))
        return read_out.gather(y)

    def losses(self, outputs: Tensor, targets: Tensor, read_out: ReadOut) -> Tensor:
        """The loss of each replica [R], from outputs [R, S, B, O] and their targets."""
        losses = cross_entropy(outputs, targets) if self.kind == "class" else (outputs - targets).square().mean(-1)
        alive = read_out.timesteps >= 0
        return losses.where(alive, 0).sum((1, 2)) / alive.sum((1, 2))

    def slopes(self, outputs: Tensor, targets: Tensor, read_out: ReadOut) -> tuple[Tensor, Tensor]:
        """The losses [R] and dL/d(outputs) [R, S, B, O] in closed form: what `losses` and autograd give.

        Over n read-outs, `value`: 2 (output - target) / (n O); `class`: that of `cross_entropy`, over n.
        """
        if self.kind == "class":
            log_p = outputs.log_softmax(-1)
            losses = _negative_log(log_p, targets) * read_out.weights
            d = _slope(log_p, targets) * read_out.weights
        else:
            d = outputs - targets
            losses, d = d, d * (read_out.weights * (2 / outputs.shape[-1]))
            losses = losses * d / 2
        if read_out.alive is not None:
            losses, d = losses.where(read_out.alive, 0), d.where(read_out.alive, 0)
        return losses.sum((1, 2, 3)), d


class _CrossEntropy(torch.autograd.Function):
    """-log softmax(outputs)[target], with a gradient that a confident network does not lose.

    dL/d(outputs_k) = p_k, and at the target y it is -sum_{k != y} p_k. The usual p_y - 1 is that too on paper; in
    float32 it is off by 0.16 decades where the target leads by 20 nats, and zero soon after.
    """

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, targets: Tensor) -> Tensor:
        log_p = outputs.log_softmax(-1)
        ctx.save_for_backward(log_p, targets)
        return _negative_log(log_p, targets)[..., 0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        log_p, targets = ctx.saved_tensors
        return _slope(log_p, targets) * gradients[0][..., None], None


def _negative_log(log_p: Tensor, targets: Tensor) -> Tensor:
    """-log p of the targets: log_p [..., O] and classes [...] to [..., 1]."""
    return -log_p.gather(-1, targets[..., None])


def _slope(log_p: Tensor, targets: Tensor) -> Tensor:
    """dL/d(outputs) [..., O], as `_CrossEntropy` has it."""
    at = targets[..., None]
    others = log_p.exp().scatter(-1, at, 0)
    return others.scatter(-1, at, -others.sum(-1, keepdim=True))


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Softmax cross-entropy in nats, outputs [..., O] and classes [...] to [...]."""
    loss: Tensor = _CrossEntropy.apply(outputs, targets)  # type: ignore[no-untyped-call]
    return loss


def _chosen(t: int, lengths: Tensor) -> Tensor:
    """Timestep t of each sequence; a negative t counts from its end."""
    return torch.full_like(lengths, t) if t >= 0 else lengths + t
