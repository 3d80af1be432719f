"""From a pass to what is written down: the columns of gradients.csv.

Everything here reads and nothing changes: no weight, no optimizer state, no random state.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from rnnlab.gradients.passes import Pass
    from rnnlab.network.network import Network

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """One replica's rows of gradients.csv for one layer and state; masked entries are underflow."""

    layer: int
    state: str
    t: NDArray[np.int64]
    lag: NDArray[np.int64]
    columns: dict[str, Any]

    @property
    def is_finite(self) -> bool:
        """Whether no entry of the total gradient is inf or nan."""
        total = np.ma.getdata(self.columns["log10_norm"])
        return not bool(np.isposinf(total).any() or np.isnan(total).any())

    def with_sentinels(self, column: str) -> Floats:
        """A log10 column with the sentinel values of a frame: nan is underflow, inf is not finite."""
        values = np.ma.asarray(self.columns[column])
        replaced: Floats = np.where(np.isnan(values.data), np.inf, values.data)
        return np.where(np.ma.getmaskarray(values), np.nan, replaced)


def curves(network: Network, result: Pass, lengths: Tensor, stride: int = 1) -> list[list[Curve]]:
    """The rows of every replica: gradient norms against t, for each layer and state; lengths [R, B]."""
    times = [_times(longest, stride) for longest in lengths.amax(1).tolist()]
    rows: list[list[Curve]] = [[] for _ in times]
    for layer, state, columns in result.norm_tables(network, lengths):
        for r, (t, lag, every) in enumerate(times):
            rows[r].append(Curve(layer, state, t, lag, {name: value[r, every] for name, value in columns.items()}))
    return rows


@functools.lru_cache(1024)
def _times(longest: int, stride: int) -> tuple[NDArray[np.int64], NDArray[np.int64], slice]:
    """The timesteps that are written down, their lags, and where they lie on the axis of time."""
    every = slice((longest - 1) % stride, longest, stride)
    t = np.arange(longest)[every]
    lag = longest - 1 - t
    t.setflags(write=False)
    lag.setflags(write=False)
    return t, lag, every
