"""The units that a fused module dropped between its layers, drawn again from the saved state of the generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import dropout

if TYPE_CHECKING:
    from rnnlab.watching.replay import Call


def drops_units(p: float, layers: int, training: bool) -> bool:
    """Whether a fused module draws random numbers when it is called."""
    return training and p > 0 and layers > 1


def dropout_masks(call: Call, layers: int, width: int, dtype: torch.dtype) -> list[Tensor]:
    """Between two layers each: 0 or 1 / (1 - p) [T, B, width]; empty where nothing was dropped.

    The global state of the generator is afterwards what it was before.
    """
    if call.random_state is None:
        return []
    data = call.output.new_ones(*_drawn(call)[:-1], width, dtype=call.output.dtype, device="cpu")
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(call.random_state)
        masks = [dropout(data, call.module.dropout, True) for _ in range(layers - 1)]
    # Torch draws for time-first data; a packed sequence holds only the timesteps that there are.
    packed = call.layout.batch_sizes is not None
    return [(call.layout.time_major(mask) if packed else mask).to(dtype) for mask in masks]


def _drawn(call: Call) -> tuple[int, ...]:
    """The shape of what the units were dropped from."""
    packed = call.layout.batch_sizes is not None
    return tuple(call.output.shape if packed else call.layout.time_major(call.output).shape)
