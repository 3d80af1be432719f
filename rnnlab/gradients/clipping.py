"""The clips of a fleet: each replica's own, on the gradients of all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rnnlab.network.flat import Floats, Gradient, stretches

if TYPE_CHECKING:
    from rnnlab.clips import Clip


def clip_each(clips: Sequence[Clip], gradient: Gradient) -> tuple[Tensor, Floats]:
    """What `Clip.act` gives, for clips of any classes: neighbours of one class at a time."""
    runs = stretches([type(clip) for clip in clips])
    if len(runs) == 1:
        return clips[0].act(clips, gradient)
    parts = [clips[a].act(clips[a:b], gradient.of(a, b)) for a, b in runs]
    return torch.cat([rows for rows, _ in parts]), np.concatenate([shares for _, shares in parts])
