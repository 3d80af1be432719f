"""Norms over the batch and percentiles of row norms: the columns of gradients.csv for one layer and state, [R, T]."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.logspace import log10_of_squares, log10_percentiles, log10_total, power_of_ten
from rnnlab.scan.fast.layer_arrays import SQUARES
from rnnlab.scan.fast.norms import read_out_norms, summarize
from rnnlab.scan.fast.threads import spread
from rnnlab.scan.thresholds import UNDERFLOW_MARGIN

if TYPE_CHECKING:
    from rnnlab.gradients.pass_base import Readings
    from rnnlab.network.objective import ReadOut

Floats = NDArray[np.float64]

PERCENTS = (5.0, 50.0, 95.0)
_PERCENTS = np.array(PERCENTS)

COLUMNS = ("norm", "log10_norm", "log10_p05", "log10_median", "log10_p95", "log10_direct")

Table = tuple[int, str, dict[str, Any]]
"""A layer, a state, and its columns [R, T]; masked entries of a column are underflow."""

# Sentinel value of a sample lost to underflow while percentiles are taken: below every number, above exact zero.
# A percentile that lies between it and a number has at least a twentieth of it, and is lost as well.
_LOST = -1e9
_NO_NUMBER = _LOST / 100


class Rows(NamedTuple):
    """Squared row norms of a compiled scan, float64 [..., 4] in the order of SQUARES, and exponents [...]."""

    squares: Floats
    exponents: NDArray[np.int64]


def table(
    total: Rows, direct: Rows, lengths: NDArray[np.int64], timesteps: NDArray[np.int64], state: str
) -> dict[str, Floats]:
    """The columns [R, T] of one layer and state after a compiled scan: nothing is lost there, and nothing masked.

    total [R, T, B], direct [R, S, B] at the read-out timesteps [R, S, B]; lengths [R, B].
    """
    (R, T, B), at = total.exponents.shape, SQUARES.index(state)
    keys, columns = np.empty((R * T, B)), np.empty((len(COLUMNS), R, T))
    read_out_norms(direct.squares, at, direct.exponents, timesteps, columns[-1], np.empty(T))
    arrays = (total.squares, at, total.exponents, lengths, _PERCENTS, keys, columns[:-1])
    spread(functools.partial(summarize, *arrays), R * T, keys.size)
    return dict(zip(COLUMNS, columns, strict=True))


def compiled_columns(
    squares: Mapping[str, Tensor],
    exponents: Tensor,
    direct_squares: Mapping[str, Tensor],
    direct_exponents: Tensor,
    lengths: Tensor,
    timesteps: Tensor,
) -> dict[str, dict[str, Any]]:
    """By state, the columns of `table`, for squares [R, T, B] and [R, S, B] that are by state already."""
    e_total, e_direct = to_numpy(exponents.contiguous()), to_numpy(direct_exponents.contiguous())
    alive, times = to_numpy(lengths.contiguous()), to_numpy(timesteps.contiguous())
    columns = {}
    for state, of_state in squares.items():
        total, direct = (_in_order(one, state) for one in (of_state, direct_squares[state]))
        columns[state] = table(Rows(total, e_total), Rows(direct, e_direct), alive, times, state)
    return columns


def _in_order(squares: Tensor, state: str) -> Floats:
    """Squares [...] where SQUARES has them in [..., 4]."""
    whole = np.empty((*squares.shape, len(SQUARES)))
    whole[..., SQUARES.index(state)] = to_numpy(squares)
    return whole


def masked_tables(
    readings: Sequence[Readings],
    log10_direct: Callable[[int], Mapping[str, Tensor]],
    read_out: ReadOut,
    lengths: Tensor,
) -> Iterator[Table]:
    """The columns of every layer and state, with what a scan says that it lost masked.

    log10_direct: of a layer, by state, log10 of the row norms [R, S, B] of the direct gradients at the read-out
    timesteps; lengths [R, B].
    """
    for index, of_layer in enumerate(readings):
        direct, exponents = log10_direct(index), of_layer.exponents
        lost = np.zeros(exponents.shape, bool) if of_layer.lost is None else to_numpy(of_layer.lost)
        for state, squares in of_layer.squares.items():
            at_all = read_out.at_all_timesteps(direct[state])
            yield index, state, masked_columns(squares, exponents, at_all, lengths, lost)


def masked_columns(
    squares: Tensor, exponents: Tensor, direct: Floats, lengths: Tensor, lost: NDArray[np.bool_]
) -> dict[str, Any]:
    """The columns of one layer and state, with what the number format lost masked.

    squares, exponents [R, T, B]; direct: log10 of the row norms of the direct gradients [R, T, B]; lengths [R, B];
    lost [R, T, B]: the rows whose value is not known.
    """
    samples = log10_of_squares(to_numpy(squares), to_numpy(exponents))
    _, T, B = samples.shape
    alive = np.arange(T)[None, :, None] < to_numpy(lengths)[:, None]
    samples = np.where(alive, samples, -np.inf)
    total = log10_total(samples)
    # What is lost is nothing beside a row that is not, whatever it was.
    known = log10_total(np.where(lost, -np.inf, samples))
    samples = np.where(lost & alive, _LOST, samples)
    values = log10_percentiles(samples, alive, PERCENTS) + np.log10(B)
    percentiles = np.ma.masked_array(values, np.isfinite(values) & (values < _NO_NUMBER))
    gone = np.isneginf(known) & (lost & alive).any(-1)
    columns = power_of_ten(total), np.ma.masked_array(total, gone), *percentiles, log10_total(direct)
    return dict(zip(COLUMNS, columns, strict=True))


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


def to_numpy(tensor: Tensor) -> Any:
    """The tensor's values on the host."""
    return tensor.detach().cpu().numpy()
