"""What the tests of the initializers share: making one, drawing from a seed, comparing two samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import stats

from rnnlab.inits import INITS, Array, Init

RNN, LSTM, GRU = ("h",), ("i", "f", "g", "o"), ("r", "z", "n")


def made(name: str, **options: Any) -> Init:
    """An init with its required options filled from the examples in its schema."""
    fields = {key: field for key, field in INITS[name].model_fields.items() if field.is_required()}
    return INITS[name](
        **{key: (field.examples or [None])[0] for key, field in fields.items()} | {"name": name} | options
    )


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed))


def same_distribution(ours: Array, theirs: Any) -> bool:
    """Kolmogorov-Smirnov on two samples; the seeds are fixed, so the answer is too."""
    theirs = np.asarray(theirs, dtype=np.float64)
    return bool(stats.ks_2samp(ours.ravel(), theirs.ravel()).pvalue > 0.01)


def of_torch(draw: Callable[[], Any]) -> Any:
    """What torch draws, from a fixed seed and without leaving a trace in its global random state."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        return draw()
