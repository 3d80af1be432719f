"""The probe `lyapunov`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from rnnlab.analysis.matrix_products import LyapunovExponents, batch_means_error
from rnnlab.column import Column
from rnnlab.probes.base import Measured, Probe, TableRows, View, one_thread
from rnnlab.probes.charts import Chart
from rnnlab.probes.summary_lines import SummaryLine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rnnlab.config import Config
    from rnnlab.gradients.unrolled import LayerReplay
    from rnnlab.probes.base import Floats

SAMPLES = 2
"""Sequences of the batch that are followed, its first ones; each costs O(T N^3)."""
WARM_UP = 0.25
"""The part of each sequence over which directions only turn to where they grow."""
_SEED = 0


class Lyapunov(Probe):
    """Lyapunov exponents of each layer's state map under the task's inputs, in nats a timestep, to both files.

    With Q_0 = I and the QR decompositions J_t Q_{t-1} = Q_t R_t, lambda_i is the mean over timesteps of log |(R_t)_ii|,
    J_t = ds_t/ds_{t-1}. The first quarter of each sequence turns Q only and is not counted; the first 2 sequences of
    the batch are followed. Beside them stands the rate of the adjoint, the mean of log(||J_t^T w|| / ||w||) for a
    random vector w that is carried back from the end through the same Jacobians, without the first and the last
    quarter: it grows at lambda_1. Standard errors are by batch means. A stack of layers has the exponents of all its
    layers; metrics.csv has the largest.

    >>> [column.name for column in Lyapunov.columns][:2]
    ['lyapunov_max', 'lyapunov_max_error']
    """

    source: ClassVar[str] = (
        "Benettin, Galgani, Giorgilli and Strelcyn, Lyapunov characteristic exponents, 1980, doi:10.1007/BF02128236; "
        "Engelken, Wolf and Abbott, Lyapunov spectra of chaotic recurrent neural networks, 2023, "
        "doi:10.1103/PhysRevResearch.5.043044; "
        "Vogt, Puelma Touzel, Shlizerman and Lajoie, On Lyapunov exponents for RNNs, 2022, doi:10.3389/fams.2022.818799"
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("lyapunov_max", "number", "nats / timestep", "lambda_1 = mean_t log |(R_t)_11|", "largest exponent"),
        Column("lyapunov_max_error", "number", "nats / timestep", "", "its standard error, by batch means"),
        Column(
            "lyapunov_mean", "number", "nats / timestep", "sum_i lambda_i / N = mean log |det J_t| / N", "their mean"
        ),
        Column("lyapunov_dimension", "number", "1", "j + sum_{i<=j} lambda_i / |lambda_{j+1}|", "Kaplan and Yorke's"),
        Column("adjoint_rate", "number", "nats / timestep", "mean_t log ||J_t^T w|| / ||w||", "growth back in time"),
        Column("adjoint_rate_error", "number", "nats / timestep", "", "its standard error, by batch means"),
    )
    table: ClassVar[tuple[Column, ...]] = (
        Column("exponent", "number", "nats / timestep", "lambda_i", "exponents of the layer, descending"),
        Column("exponent_error", "number", "nats / timestep", "", "standard error, by batch means"),
    )
    at: ClassVar[str] = "i, from 1"
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("exponent", "Lyapunov exponents", "nats / timestep", x="number of the exponent"),
        Chart("lyapunov_max", "largest exponent", "nats / timestep"),
        Chart("adjoint_rate", "rate of the adjoint", "nats / timestep"),
        Chart("lyapunov_dimension", "Kaplan-Yorke dimension"),
    )
    summary: ClassVar[tuple[SummaryLine, ...]] = (
        SummaryLine("lambda_1", "{lyapunov_max:+.4f}, standard error {lyapunov_max_error:.2g}, nats a timestep"),
        SummaryLine(
            "rate of the adjoint", "{adjoint_rate:+.4f}, standard error {adjoint_rate_error:.2g}, nats a timestep"
        ),
        SummaryLine("Kaplan-Yorke dimension", "{lyapunov_dimension:.3g}"),
    )

    name: Literal["lyapunov"] = "lyapunov"

    def measure(self, view: View) -> Measured:
        figures, tables = [], []
        with one_thread():
            layers = view.replay(SAMPLES)
            for r in range(layers[0].lengths.shape[0]):
                spectra = [LyapunovExponents.of(growth_forward(layer, r)) for layer in layers]
                tables.append([_rows(index, spectrum) for index, spectrum in enumerate(spectra)])
                figures.append([*_of_all(spectra), *_largest(_mean(growth_back(layer, r)) for layer in layers)])
        columns = np.transpose(figures)
        return Measured({column.name: columns[k] for k, column in enumerate(self.columns)}, tables)

    def table_rows(self, config: Config) -> int:
        states = len(config.model.build_cell().states)
        return config.model.hidden * states * len(self.table) * config.model.layers


def _rows(index: int, spectrum: LyapunovExponents) -> TableRows:
    values = {"exponent": spectrum.values, "exponent_error": spectrum.errors}
    return TableRows(index, "", range(1, len(spectrum.values) + 1), values)


def _of_all(spectra: list[LyapunovExponents]) -> list[float]:
    """The largest exponent of a stack, its error, the mean exponent and the dimension."""
    values, errors = (np.concatenate([getattr(each, name) for each in spectra]) for name in ("values", "errors"))
    order = np.argsort(-values, kind="stable")
    together = LyapunovExponents(values[order], errors[order])
    return [together.values[0], together.errors[0], float(values.mean()), together.dimension]


def _mean(growth: Floats) -> tuple[float, float]:
    return float(growth.mean()), float(batch_means_error(growth))


def _largest(rates: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """The largest rate with its error, and nan where any is."""
    given = list(rates)
    return next((rate for rate in given if np.isnan(rate[0])), max(given))


def growth_forward(layer: LayerReplay, r: int) -> Floats:
    """log |(R_t)_ii| of the timesteps after the warm-up, one sequence after another: [timesteps, N]."""
    import torch

    lengths, N = layer.lengths[r], layer.map.size
    mapped, B = layer.map.of(r), len(lengths)
    Q, rows = torch.eye(N, dtype=torch.float64).expand(B, N, N), []
    for t in range(int(lengths.max())):
        J = mapped.jacobian(layer.x[r : r + 1, t], layer.states[r : r + 1, t])[0]
        Q, R = torch.linalg.qr(J.nan_to_num(0, 0, 0) @ Q)
        growth = R.diagonal(dim1=-2, dim2=-1).abs().log()
        rows.append(growth.where(J.isfinite().all(-1).all(-1)[:, None], torch.nan))
    by_sample = torch.stack(rows, 1)
    return _counted(by_sample, lengths, [int(WARM_UP * length) for length in lengths], lengths.tolist())


def growth_back(layer: LayerReplay, r: int) -> Floats:
    """log of the growth of a random vector carried back, for the timesteps after its own warm-up: [timesteps]."""
    import torch

    lengths, mapped = layer.lengths[r], layer.map.of(r)
    ends = lengths - 1
    draw = np.random.default_rng(_SEED).normal(size=layer.map.size)
    first = torch.from_numpy(draw / np.linalg.norm(draw))
    w, rows = first.expand(len(lengths), -1), []
    for t in reversed(range(int(lengths.max()))):
        # A sequence that ends at t begins there.
        w = torch.where(ends.eq(t)[:, None], first, w)
        w = mapped.pull(layer.x[r : r + 1, t], layer.states[r : r + 1, t], w[None, :, None])[0, :, 0]
        norms = torch.linalg.vector_norm(w, dim=-1)
        rows.append(norms.log())
        # What is not finite stays so.
        w = torch.where((norms == 0)[:, None], 0, w / norms[:, None])
    by_sample = torch.stack(rows[::-1], 1)
    # Nor the first timesteps, when the states are still near zero, where slopes are steep.
    first_counted = [int(WARM_UP * length) for length in lengths.tolist()]
    last = [length - skipped for length, skipped in zip(lengths.tolist(), first_counted, strict=True)]
    return _counted(by_sample, lengths, first_counted, last)


def _counted(by_sample, lengths, first: list[int], last: list[int]) -> Floats:  # type: ignore[no-untyped-def]
    """Of [B, T, ...] the timesteps from first to last of each sample, one sample after another."""
    parts = [by_sample[b, first[b] : last[b]].numpy() for b in range(len(lengths))]
    counted: Floats = np.concatenate(parts)
    return counted
