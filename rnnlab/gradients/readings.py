"""From a pass to what is written down: the columns of gradients.csv.

Everything here reads and nothing changes: no weight, no optimizer state, no random state.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.gradients.direct import direct_log10, direct_readings
from rnnlab.gradients.passes import Pass, Readings
from rnnlab.logspace import log10_of_squares, log10_percentiles, log10_total, power_of_ten
from rnnlab.network.network import Network
from rnnlab.scan.fast.norms import read_out_norms, summarize
from rnnlab.scan.fast.threads import blocks_of, items_of, spread
from rnnlab.scan.thresholds import UNDERFLOW_MARGIN

Floats = NDArray[np.float64]

PERCENTS = (5.0, 50.0, 95.0)
_PERCENTS = np.array(PERCENTS)

_COLUMNS = ("norm", "log10_norm", "log10_p05", "log10_median", "log10_p95", "log10_direct")

Table = tuple[int, str, dict[str, Any]]
"""A layer, a state, and its columns [R, T]."""

# Stands in for a sample lost to underflow while percentiles are taken: below every number, above exact zero.
# A percentile that lies between it and a number has at least a twentieth of it, and is lost as well.
_LOST = -1e9
_NO_NUMBER = _LOST / 100


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

    def with_marks(self, column: str) -> Floats:
        """A log10 column as a frame holds it: nan is underflow, inf is not finite."""
        values = np.ma.asarray(self.columns[column])
        marked: Floats = np.where(np.isnan(values.data), np.inf, values.data)
        return np.where(np.ma.getmaskarray(values), np.nan, marked)


def curves(network: Network, found: Pass, lengths: Tensor, stride: int = 1) -> list[list[Curve]]:
    """The rows of every replica: total and direct gradient norms against t, for each layer and state."""
    times = [_times(longest, stride) for longest in lengths.amax(1).tolist()]
    rows: list[list[Curve]] = [[] for _ in times]
    tables = _compiled_tables(network, found, lengths) if found.traces else _tables(network, found, lengths)
    for layer, state, columns in tables:
        for r, (t, lag, every) in enumerate(times):
            rows[r].append(Curve(layer, state, t, lag, {name: value[r, every] for name, value in columns.items()}))
    return rows


def _times(longest: int, stride: int) -> tuple[NDArray[np.int64], NDArray[np.int64], slice]:
    """The timesteps that are written down, their lags, and where they lie on the axis of time."""
    every = slice((longest - 1) % stride, longest, stride)
    t = np.arange(longest)[every]
    return t, longest - 1 - t, every


def _compiled_tables(network: Network, found: Pass, lengths: Tensor) -> Iterator[Table]:
    """The tables of a pass on the compiled scan: nothing is lost there, and nothing masked."""
    alive, times = _numpy(lengths.contiguous()), _numpy(found.places.times.contiguous())
    for index, (readings, direct) in enumerate(zip(found.readings, direct_readings(network, found), strict=True)):
        exponents, e_direct = _numpy(readings.exponents), _numpy(direct.exponents)
        R, T, B = exponents.shape
        keys, tops = np.empty((R * T, B)), np.empty(T)
        for state, squares in readings.squares.items():
            table = np.empty((len(_COLUMNS), R, T))
            read_out_norms(_numpy(direct.squares[state].contiguous()), e_direct, times, table[-1], tops)
            arrays = _numpy(squares.contiguous()), exponents, alive, _PERCENTS, keys, table[:-1]
            work = _of_block(functools.partial(summarize, *arrays))
            spread(work, items_of(1, R * T, blocks_of(1, R * T)), keys.size)
            yield index, state, dict(zip(_COLUMNS, table, strict=True))


def _of_block(work: Callable[[int, int], None]) -> Callable[[int, int, int, int], None]:
    return lambda item, r, first, last: work(first, last)


def _tables(network: Network, found: Pass, lengths: Tensor) -> Iterator[Table]:
    """The tables of a pass under autograd, with what its number format lost masked."""
    for index, readings in enumerate(found.readings):
        direct = direct_log10(network, found, index)
        for state in readings.squares:
            yield index, state, _columns(readings, state, _direct(direct[state], found), lengths)


def _columns(readings: Readings, state: str, direct: Floats, lengths: Tensor) -> dict[str, Any]:
    """Columns [R, T] of one layer and state."""
    samples = log10_of_squares(_numpy(readings.squares[state]), _numpy(readings.exponents))
    _, T, B = samples.shape
    alive = np.arange(T)[None, :, None] < _numpy(lengths)[:, None]
    samples = np.where(alive, samples, -np.inf)
    total = log10_total(samples)
    lost = np.zeros(total.shape, bool)
    if readings.limited is not None:
        lost = underflowed(total, readings.limited, log10_total(direct))
        samples = np.where(underflowed(samples, readings.limited, direct), _LOST, samples)
    values = log10_percentiles(samples, alive, PERCENTS) + np.log10(B)
    percentiles = np.ma.masked_array(values, np.isfinite(values) & (values < _NO_NUMBER))
    found = power_of_ten(total), np.ma.masked_array(total, lost), *percentiles, log10_total(direct)
    return dict(zip(_COLUMNS, found, strict=True))


def _direct(logs: Tensor, found: Pass) -> Floats:
    """log10 of the direct part's row norms, from those [R, S, B] of the places to [R, T, B]."""
    slots = found.places.slots
    rows: Floats = _numpy(logs.gather(1, slots.clamp(min=0)).where(slots >= 0, -torch.inf))
    return rows


def underflowed(
    log10_norms: Floats, dtype: str | np.dtype[Any], log10_direct: Floats | None = None
) -> NDArray[np.bool_]:
    """Which entries [R, T, ...] a number format without a shared exponent has lost, or may have.

    A norm below 8 times the smallest normal number is lost, and so is a zero that follows (at the timestep before) a
    lost one, or one so small that its product with another small number can vanish. Other zeros are exact: nothing
    arrives before the loss is met, and a dead relu passes nothing on from a gradient of any size. Where the direct part
    is known, a zero that it does not share was lost between the read-out and the state.
    """
    tiny = float(np.finfo(np.dtype(dtype)).tiny)
    lowest, doubtful = np.log10(UNDERFLOW_MARGIN * tiny), np.log10(tiny) / 2
    lost: NDArray[np.bool_] = np.isfinite(log10_norms) & (log10_norms < lowest)
    if log10_direct is not None:
        lost |= np.isneginf(log10_norms) & np.isfinite(log10_direct)
    for t in range(log10_norms.shape[1] - 2, -1, -1):
        after = log10_norms[:, t + 1]
        suspect = lost[:, t + 1] | (np.isfinite(after) & (after < doubtful))
        lost[:, t] |= np.isneginf(log10_norms[:, t]) & suspect
    return lost


def _numpy(tensor: Tensor) -> Any:
    return tensor.detach().cpu().numpy()
