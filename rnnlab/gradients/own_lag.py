"""The columns of gradients.csv by lag from where each sample's own error enters.

A sample's own read-out e_b is the last timestep at which the loss reads it: its end, or a single timestep. Its gradient
k timesteps before that is dL/dh_{e_b - k, b}. In a batch whose samples end at different timesteps, or are read out
before the last one, a curve against T-1-t mixes lags; against k it does not. The figures of lag k stand in the row of
timestep t = max_b e_b - k, which for equal read-outs is where they stand anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.gradients.norm_tables import COLUMNS, Floats, masked_columns
from rnnlab.logspace import log10_of_squares, log10_total

Counts = NDArray[np.int64]

FIGURES = COLUMNS[1:]
"""The log10 columns, which are there by own lag too."""


@dataclass(frozen=True)
class RowNorms:
    """Squared row norms [R, T, B] of the total gradient, their exponents, and which the number format has lost.

    direct: log10 of the row norms of the direct gradient [R, T, B]; None where each sample has one read-out, so that it
    is the total gradient there.

    >>> rows = RowNorms(torch.ones(1, 5, 3), torch.zeros(1, 5, 3, dtype=torch.int64))
    >>> by_timestep = {name: np.zeros((1, 5)) for name in FIGURES}
    >>> columns = own_columns(by_timestep, np.array([[4, 2, 2]]), lambda: rows)
    >>> rows.squares.shape, columns["own_lag"].tolist(), columns["own_samples"].tolist()
    (torch.Size([1, 5, 3]), [[4, 3, 2, 1, 0]], [[1, 1, 3, 3, 3]])
    """

    squares: Tensor
    exponents: Tensor
    lost: NDArray[np.bool_] | None = None
    direct: Floats | None = None


def own_columns(
    at_timestep: dict[str, Any], ends: Counts, rows: Callable[[], RowNorms], *, same_lengths: bool = True
) -> dict[str, Any]:
    """The columns [R, T] by own lag, of one layer and state.

    at_timestep: its columns by timestep, which are the answer where all samples of a replica have the same read-out.
    ends [R, B]: each sample's last read-out, -1 where it has none. rows: called where they differ. same_lengths: False
    where timestep t is not the same one for all samples (a scan that begins at each sequence's own end).
    """
    T = at_timestep["log10_norm"].shape[1]
    last = ends.max(1)
    own_lag = last[:, None] - np.arange(T)
    figures, uneven = {name: at_timestep[name] for name in FIGURES}, (ends != last[:, None]).any()
    samples = ends.shape[1] * (own_lag >= 0)
    if uneven:
        samples = ((ends[:, None] >= own_lag[..., None]) & (own_lag >= 0)[..., None]).sum(-1)
    if uneven or not same_lengths:
        by_lag, place = _by_lag(rows(), ends), np.where(own_lag >= 0, own_lag, T - 1)
        figures = {name: np.take_along_axis(values, place, 1) for name, values in by_lag.items()}
        for values in figures.values():
            values[samples == 0] = -np.inf
    return {"own_lag": own_lag, "own_samples": samples, **{f"own_{name}": values for name, values in figures.items()}}


def _by_lag(rows: RowNorms, ends: Counts) -> dict[str, Any]:
    """The figures by own lag, [R, T]."""
    T = rows.squares.shape[1]
    at = ends[:, None] - np.arange(T)[None, :, None]
    alive, index = at >= 0, np.maximum(at, 0)
    place = torch.from_numpy(index)
    squares, exponents = (part.cpu().gather(1, place) for part in (rows.squares, rows.exponents))
    lost = np.zeros(at.shape, bool) if rows.lost is None else np.take_along_axis(rows.lost, index, 1)
    direct = np.full(at.shape, -np.inf)
    if rows.direct is not None:
        direct = np.where(alive, np.take_along_axis(rows.direct, index, 1), -np.inf)
    columns = masked_columns(squares, exponents, direct, torch.from_numpy(ends + 1), lost)
    if rows.direct is None:
        columns["log10_direct"][:, 0] = np.ma.getdata(columns["log10_norm"])[:, 0]
    logs = np.where(alive, log10_of_squares(squares.numpy(), exponents.numpy()), -np.inf)
    columns["log10_norm"] = columns["log10_norm"] + _chained(logs, alive)
    return {name: columns[name] for name in FIGURES}


def last_nonzero(norms: Floats) -> Counts:
    """The last timestep [R, B] at which log10 norms [R, T, B] are not exactly zero; -1 where they always are."""
    T, nonzero = norms.shape[1], ~np.isneginf(norms)
    return np.where(nonzero.any(1), T - 1 - nonzero[:, ::-1].argmax(1), -1)


def _chained(logs: Floats, alive: NDArray[np.bool_]) -> Floats:
    """What is added to log10 norms [R, K] over the samples alive, so that a sample that begins there is no fall.

    With S_k the samples that have lag k, N_k = N_{k-1} sqrt(sum_{S_k} n_k^2 / sum_{S_k} n_{k-1}^2): from one lag to the
    next the same samples are compared, as in a chained index (Fisher 1922). logs, alive [R, K, B]: log10 n.
    """
    R, K, _ = logs.shape
    added = np.zeros((R, K))
    r, k = np.nonzero((alive[:, 1:] != alive[:, :-1]).any(-1) & alive[:, 1:].any(-1))
    before = log10_total(logs[r, k])
    same = log10_total(np.where(alive[r, k + 1], logs[r, k], -np.inf))
    usable = np.isfinite(before) & np.isfinite(same)
    added[r[usable], k[usable] + 1] = (before - same)[usable]
    return np.cumsum(added, 1)
