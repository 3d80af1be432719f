"""The probe `jacobian`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from rnnlab.analysis.matrix_products import MatrixProduct, isometry_error
from rnnlab.column import Column
from rnnlab.probes.base import Measured, Probe, TableRows, View, one_thread
from rnnlab.probes.charts import Chart
from rnnlab.probes.summary_lines import SummaryLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rnnlab.config import Config
    from rnnlab.gradients.unrolled import LayerReplay
    from rnnlab.probes.base import Floats

SAMPLES = 2
"""Sequences of the batch whose Jacobians are multiplied, its first ones; each costs O(T N^3)."""
LAGS = 20
"""Lags at which singular values are taken, at most; they are spaced logarithmically."""


class Jacobian(Probe):
    """Singular values of the products of Jacobians ds_T/ds_t over the lag T - t, to probes.csv.

    ds_T/ds_t = J_T J_{T-1} ... J_{t+1} with J_t = ds_t/ds_{t-1} of a layer, from a sequence's last timestep back. s is
    the layer's whole state: h, and (h, c) of an LSTM. The figures are means of log10 over the first 2 sequences of the
    batch. The products are kept as graded QR decompositions in float64, so that every singular value is right, be it
    10^-300 or 10^-3000 of the largest. A zero is exact where a row or a column is zero (a dead relu); of another
    singular Jacobian it is what rounding leaves of it, about 10^-16 of the largest or less.

    >>> lags(100)[-3:].tolist()
    [61, 78, 99]
    """

    source: ClassVar[str] = (
        "Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013, arXiv:1211.5063; "
        "Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning, 2014, arXiv:1312.6120"
    )
    table: ClassVar[tuple[Column, ...]] = (
        Column("log10_sigma_max", "log10", "decades", "log10 sigma_1(ds_T/ds_t)", "largest singular value"),
        Column("log10_sigma_median", "log10", "decades", "log10 median_i sigma_i(ds_T/ds_t)", "median singular value"),
        Column("log10_sigma_min", "log10", "decades", "log10 sigma_N(ds_T/ds_t)", "smallest singular value"),
        Column("log10_condition", "log10", "decades", "log10 sigma_1 / sigma_N", "condition number"),
        Column("log10_isometry_error", "log10", "decades", "log10 ||P^T P - I||_F / sqrt(N)", "P = ds_T/ds_t"),
    )
    at: ClassVar[str] = "lag"
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("log10_sigma_max", "log10 largest singular value", x="lag (timesteps)"),
        Chart("log10_sigma_median", "log10 median singular value", x="lag (timesteps)"),
        Chart("log10_sigma_min", "log10 smallest singular value", x="lag (timesteps)"),
        Chart("log10_condition", "log10 condition number", x="lag (timesteps)"),
        Chart("log10_isometry_error", "log10 isometry error", x="lag (timesteps)"),
    )
    summary: ClassVar[tuple[SummaryLine, ...]] = (
        SummaryLine(
            "largest singular value",
            "10^{log10_sigma_max.first:.3g} at lag {at.first:.0f}, 10^{log10_sigma_max.last:.3g} at lag {at.last:.0f}",
        ),
        SummaryLine(
            "median singular value",
            "10^{log10_sigma_median.first:.3g} at lag {at.first:.0f}, "
            "10^{log10_sigma_median.last:.3g} at lag {at.last:.0f}",
        ),
        SummaryLine(
            "smallest singular value",
            "10^{log10_sigma_min.first:.3g} at lag {at.first:.0f}, 10^{log10_sigma_min.last:.3g} at lag {at.last:.0f}",
        ),
    )

    name: Literal["jacobian"] = "jacobian"

    def measure(self, view: View) -> Measured:
        with one_thread():
            layers = view.replay(SAMPLES)
            return Measured(
                tables=[
                    [_rows(layer, index, r) for index, layer in enumerate(layers)]
                    for r in range(layers[0].lengths.shape[0])
                ]
            )

    def table_rows(self, config: Config) -> int:
        return len(lags(config.task.timesteps)) * len(self.table) * config.model.layers


def lags(timesteps: int) -> np.ndarray:
    """The lags at which a sequence of so many timesteps is measured: 1 to T-1, spaced logarithmically."""
    longest = max(1, timesteps - 1)
    return np.unique(np.geomspace(1, longest, LAGS).round().astype(np.int64))


def _rows(layer: LayerReplay, index: int, r: int) -> TableRows:
    lengths = layer.lengths[r].tolist()
    at = lags(max(lengths))
    figures = np.full((len(lengths), len(at), len(Jacobian.table)), np.nan)
    for b, length in enumerate(lengths):
        for k, logs in _spectra(layer, r, b, length, at):
            figures[b, k] = figures_of(logs)
    # A sequence that is too short for a lag has no part in the mean.
    alive = np.array(lengths)[:, None, None] > at[:, None]
    with np.errstate(invalid="ignore"):
        means = np.where(alive, figures, 0).sum(0) / alive.sum(0)
    return TableRows(index, "", at.tolist(), {column.name: means[:, k] for k, column in enumerate(Jacobian.table)})


def _spectra(layer: LayerReplay, r: int, b: int, length: int, at: np.ndarray) -> Iterator[tuple[int, Floats]]:
    """log10 of the singular values at each of these lags that the sequence has, while they are finite."""
    product, places = MatrixProduct(layer.map.size), {int(lag): k for k, lag in enumerate(at)}
    for lag in range(1, length):
        J = layer.jacobian(length - lag, r, b).numpy()
        if not np.isfinite(J).all():
            return
        # Transposed, since the product grows at its right end.
        product.multiply(J.T)
        if lag in places:
            yield places[lag], product.log10_singular_values()


def figures_of(logs: Floats) -> list[float]:
    """The quantities of the table, from log10 of the singular values, descending."""
    with np.errstate(invalid="ignore"):
        condition = logs[0] - logs[-1] if np.isfinite(logs[0]) else np.inf
    middle = logs[(len(logs) - 1) // 2 : len(logs) // 2 + 1]
    # Of an even number, the mean of the two in the middle.
    median = middle.max() + np.log10(np.mean(10 ** (middle - middle.max()))) if np.isfinite(middle.max()) else -np.inf
    return [logs[0], median, logs[-1], condition, isometry_error(logs)]
