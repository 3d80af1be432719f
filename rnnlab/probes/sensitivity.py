"""The probe `sensitivity`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from rnnlab.column import Column
from rnnlab.logspace import LOG10_2
from rnnlab.probes.base import Measured, Probe, TableRows, View, one_thread
from rnnlab.probes.charts import Chart
from rnnlab.probes.summary_lines import SummaryLine

if TYPE_CHECKING:
    from torch import Tensor

    from rnnlab.config import Config
    from rnnlab.gradients.unrolled import LayerReplay

SAMPLES = 8
"""Sequences of the batch that are followed, its first ones."""
DIRECTIONS = 16
"""Directions in which the parameters of a group are moved; a group of no more entries is measured exactly."""
_SEED = 1
_LEAST = 900


class Sensitivity(Probe):
    """How much a layer's states hang on its parameters: E ||dh_t/dtheta||_F^2 by parameter over t, to probes.csv.

    Forward, and so whatever the loss is: the longer the memory, the more timesteps add to it, and the sensitivity grows
    where the adjoint neither vanishes nor explodes (the curse of memory). It is the mean of ||(dh_t/dtheta) u||^2 over
    16 random directions u of unit variance, without bias, and exact for a parameter of no more than 16 entries; over
    the first 8 sequences of the batch; for h of a layer and its own parameters, as the
    cell multiplies by them. (dh_t/dtheta) u is carried forward
    by s'_t = J_t s'_{t-1} + (ds_t/dtheta) u in float64 with an exponent, so that it may grow as far as it will.

    >>> [column.name for column in Sensitivity.table]
    ['log10_sensitivity']
    """

    source: ClassVar[str] = (
        "Zucchet and Orvieto, Recurrent neural networks: vanishing and exploding gradients are not the end of the "
        "story, 2024, arXiv:2405.21064; Williams and Zipser, A learning algorithm for continually running fully "
        "recurrent neural networks, 1989, doi:10.1162/neco.1989.1.2.270"
    )
    table: ClassVar[tuple[Column, ...]] = (
        Column("log10_sensitivity", "log10", "decades", "log10 mean_b ||dh_t/dtheta||_F^2", "theta: the parameter"),
    )
    at: ClassVar[str] = "t"
    charts: ClassVar[tuple[Chart, ...]] = (Chart("log10_sensitivity", "log10 sensitivity", x="timestep t"),)
    summary: ClassVar[tuple[SummaryLine, ...]] = (
        SummaryLine(
            "E||dh_t/dtheta||^2",
            "10^{log10_sensitivity.first:.3g} at t = {at.first:.0f}, "
            "10^{log10_sensitivity.last:.3g} at t = {at.last:.0f}",
        ),
    )

    name: Literal["sensitivity"] = "sensitivity"

    def measure(self, view: View) -> Measured:
        with one_thread():
            layers = view.replay(SAMPLES)
            R = view.lengths.shape[0]
            return Measured(
                tables=[[rows for k, each in enumerate(layers) for rows in _rows(each, k, r)] for r in range(R)]
            )

    def table_rows(self, config: Config) -> int:
        parameters = 3 + len(config.model.build_cell().recurrent)
        return config.task.timesteps * parameters * config.model.layers


def _rows(layer: LayerReplay, index: int, r: int) -> list[TableRows]:
    lengths = layer.lengths[r]
    T = int(lengths.max())
    return [
        TableRows(index, name, range(T), {"log10_sensitivity": log10_sensitivity(layer, r, name, T, lengths)})
        for name in layer.map.of(r).layer.parameters()
    ]


def log10_sensitivity(layer: LayerReplay, r: int, name: str, T: int, lengths: Tensor) -> np.ndarray:
    """log10 of the mean over directions and sequences alive, for each timestep."""
    import torch

    mapped = layer.map.of(r)
    moved = mapped.layer.parameters()[name]
    directions = _directions(tuple(moved.shape[1:]))
    K, B, H = len(directions), layer.x.shape[2], layer.h.shape[-1]
    tangent = torch.zeros(K, B, mapped.size, dtype=torch.float64)
    exponent, logs = torch.zeros(K, dtype=torch.float64), []
    for t in range(T):
        tangent = mapped.push(layer.x[r, t], layer.states[r, t], tangent, name, directions, torch.exp2(-exponent))
        # Near 1, so that squares stay within float64; not below 2^-_LEAST, where the scale would leave it.
        shift = torch.frexp(tangent.abs().amax((1, 2))).exponent.double().clamp(min=-_LEAST - exponent)
        tangent, exponent = tangent * torch.exp2(-shift)[:, None, None], exponent + shift
        alive = t < lengths
        squares = tangent[:, alive, :H].square().sum((1, 2)) / alive.sum()
        logs.append(_log2_mean(squares, exponent))
    return np.array(logs) * LOG10_2


def _directions(shape: tuple[int, ...]) -> Tensor:
    """Directions u [K, ...] with E u u^T = I: random ones, or all of them where they are few."""
    import torch

    entries = int(np.prod(shape))
    if entries <= DIRECTIONS:
        # The mean over them is then 1/K of the sum.
        return float(np.sqrt(entries)) * torch.eye(entries, dtype=torch.float64).view(entries, *shape)
    drawn = np.random.default_rng(_SEED).normal(size=(DIRECTIONS, *shape))
    return torch.from_numpy(drawn)


def _log2_mean(squares: Tensor, exponent: Tensor) -> float:
    """log2 of the mean over directions of squares that are in units of 4^exponent."""
    top = float(exponent.max())
    mean = float((squares * (2 * (exponent - top)).exp2()).mean())
    with np.errstate(divide="ignore"):
        return float(np.log2(mean)) + 2 * top
