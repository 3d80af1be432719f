"""The sequences that a module takes and gives, padded or packed, as tensors with time first."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

Given = Tensor | PackedSequence


@dataclass(frozen=True)
class Layout:
    """How a module's sequences lie: padded [T, B, N], [B, T, N] or [T, N], or packed.

    Packed rows stay in the order of a PackedSequence, longest first: `order` says which sample each row is.
    """

    batch_first: bool
    unbatched: bool
    batch_sizes: Tensor | None
    order: Tensor | None

    @classmethod
    def of(cls, given: Given, batch_first: bool) -> Layout:
        if isinstance(given, PackedSequence):
            return cls(False, False, given.batch_sizes, given.sorted_indices)
        return cls(batch_first and given.dim() == 3, given.dim() == 2, None, None)

    def time_major(self, data: Tensor) -> Tensor:
        """What a module took or gave, or a gradient of it, as [T, B, N]; zeros beyond a sequence's end."""
        if self.batch_sizes is not None:
            return pad_packed_sequence(PackedSequence(data, self.batch_sizes))[0]
        if self.unbatched:
            return data[:, None]
        return data.transpose(0, 1) if self.batch_first else data

    def states(self, state: Tensor) -> Tensor:
        """Initial or last states, or a gradient of them, as [layers * directions, B, H] in the order of the rows."""
        if self.unbatched:
            return state[:, None]
        return state if self.order is None else state.index_select(1, self.order)

    def lengths(self, T: int, B: int) -> Tensor:
        """int64 [B]."""
        if self.batch_sizes is None:
            return torch.full((B,), T)
        return (self.batch_sizes[:, None] > torch.arange(B)).sum(0)


def data_of(given: Given) -> Tensor:
    """The tensor that holds the numbers."""
    return given.data if isinstance(given, PackedSequence) else given


def timesteps_of(lengths: Tensor, T: int) -> Tensor:
    """int64 [T, B]: the position of each entry of padded sequences, -1 beyond a sequence's end."""
    t = torch.arange(T)[:, None]
    return t.expand(T, len(lengths)).where(t < lengths, -1)


def reverse(rows: Tensor, lengths: Tensor) -> Tensor:
    """Each sequence of [T, B, ...] from its end to its beginning; what is beyond the end stays where it is."""
    T = rows.shape[0]
    t = torch.arange(T)[:, None]
    source = torch.where(t < lengths, lengths - 1 - t, t)
    return rows.gather(0, source.reshape(*source.shape, *[1] * (rows.dim() - 2)).expand_as(rows))
