"""From a pass to what is written down: the columns of gradients.csv.

Everything here reads and nothing changes: no weight, no optimizer state, no random state.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.gradients.norm_tables import to_numpy
from rnnlab.gradients.own_lag import RowNorms, own_columns

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
    def named(self) -> dict[str, Any]:
        """Every column of gradients.csv from `t` on."""
        return {"t": self.t, "lag": self.lag, **self.columns}

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

    def by_own_lag(self) -> tuple[Any, ...]:
        """Lags from each sample's own read-out, and there log10_norm, log10_direct and log10_median, with sentinels."""
        known = (self.columns["own_lag"] >= 0) & (self.columns["own_samples"] > 0)
        names = (f"own_{name}" for name in ("log10_norm", "log10_direct", "log10_median"))
        return self.columns["own_lag"][known], *(self.with_sentinels(name)[known] for name in names)


def curves(network: Network, result: Pass, lengths: Tensor, stride: int = 1) -> list[list[Curve]]:
    """The rows of every replica: gradient norms against t, for each layer and state; lengths [R, B]."""
    times = [_times(longest, stride) for longest in lengths.amax(1).tolist()]
    rows: list[list[Curve]] = [[] for _ in times]
    ends = to_numpy(result.read_out.timesteps.amax(1))
    for layer, state, columns in result.norm_tables(network, lengths):
        own = own_columns(columns, ends, functools.partial(_row_norms, network, result, layer, state))
        # The same memory where it is the same column, so that it is written down once.
        keys = {name: id(values) for name, values in {**columns, **own}.items()}
        once = {id(values): values for values in (*columns.values(), *own.values())}
        for r, (t, lag, every) in enumerate(times):
            slices = {key: values[r, every] for key, values in once.items()}
            rows[r].append(Curve(layer, state, t, lag, {name: slices[key] for name, key in keys.items()}))
    return rows


def _row_norms(network: Network, result: Pass, layer: int, state: str) -> RowNorms:
    readings, read_out = result.readings[layer], result.read_out
    lost = None if readings.lost is None else to_numpy(readings.lost)
    direct = None
    if read_out.timesteps.shape[1] > 1:
        direct = read_out.at_all_timesteps(result.direct_log10(network, layer)[state])
    return RowNorms(readings.squares[state], readings.exponents, lost, direct)


@functools.lru_cache(1024)
def _times(longest: int, stride: int) -> tuple[NDArray[np.int64], NDArray[np.int64], slice]:
    """The timesteps that are written down, their lags, and where they lie on the axis of time."""
    every = slice((longest - 1) % stride, longest, stride)
    t = np.arange(longest)[every]
    lag = longest - 1 - t
    t.setflags(write=False)
    lag.setflags(write=False)
    return t, lag, every
