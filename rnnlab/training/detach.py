"""The draws of `train.detach` (h-detach): which timesteps pass nothing back through h."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from rnnlab.config import Config

_PURPOSE = 0x64657461
"""Marks the stream of these draws, apart from those of the data and of the initial weights."""


def drawn_factors(configs: Sequence[Config], update: int, timesteps: int) -> Tensor | None:
    """Factors on the gradient from the gates of timestep t to h_{t-1}: 0 with probability `train.detach`, else 1.

    float64 [layers, R, timesteps], from each run's seed and the number of updates before this one alone, so that
    neither a fleet nor an interruption changes them; None where `train.detach` is 0.
    """
    if not configs[0].train.detach:
        return None
    return torch.from_numpy(np.stack([_of_run(config, update)[:, :timesteps] for config in configs], 1))


def _of_run(config: Config, update: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(_PURPOSE, update)))
    # As many as the longest sequence needs, since a batch may be shorter, and longer beside others in a fleet.
    draws = rng.random((config.model.layers, config.task.timesteps))
    return (draws >= config.train.detach).astype(np.float64)
