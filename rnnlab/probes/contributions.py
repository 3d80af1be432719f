"""The probe `contributions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from rnnlab.column import Column
from rnnlab.logspace import LOG10_2
from rnnlab.probes.base import Measured, Probe, TableRows, View, one_thread
from rnnlab.probes.charts import Chart
from rnnlab.probes.summary_lines import SummaryLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rnnlab.config import Config
    from rnnlab.scan.general_backward import KeptRows
    from rnnlab.scan.scaled import Scaled


class Contributions(Probe):
    """What each timestep adds to the gradient of each recurrent matrix: its size, its direction, and what cancels.

    dL/dW = sum_t G_t with G_t = sum_b h_{t-1,b}^T dL/d(h_{t-1,b} W), whatever reaches W at timestep t of the batch. Of
    the sizes sum_t ||G_t||_F that the timesteps add, the share 1 - ||sum_t G_t||_F / sum_t ||G_t||_F cancels. W is
    what the state is multiplied by, also where a cell makes it of other parameters; without one nothing is written.

    >>> [column.name for column in Contributions.table]
    ['log10_norm', 'cosine']
    """

    source: ClassVar[str] = (
        "Bengio, Simard and Frasconi, Learning long-term dependencies with gradient descent is difficult, 1994, "
        "doi:10.1109/72.279181; "
        "Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013, arXiv:1211.5063"
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            "cancelled", "number", "1", "1 - ||sum_t G_t||_F / sum_t ||G_t||_F", "of all recurrent matrices together"
        ),
    )
    table: ClassVar[tuple[Column, ...]] = (
        Column("log10_norm", "log10", "decades", "log10 ||G_t||_F", "size of the timestep's part"),
        Column("cosine", "number", "1", "<G_t, dL/dW> / (||G_t|| ||dL/dW||)", "its direction beside the whole"),
    )
    at: ClassVar[str] = "t"
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("log10_norm", "log10 norm of the part", x="timestep t"),
        Chart("cosine", "cosine with the whole", x="timestep t"),
        Chart("cancelled", "share that cancels"),
    )
    summary: ClassVar[tuple[SummaryLine, ...]] = (
        SummaryLine("cancels", "{cancelled:.1%} of what the timesteps add to dL/dW_hh"),
    )

    name: Literal["contributions"] = "contributions"

    def measure(self, view: View) -> Measured:
        with one_thread():
            adjoints = view.unrolled.rows
            assert adjoints is not None
            parts = [(index, *part) for index, adjoint in enumerate(adjoints) for part in _parts(view, adjoint)]
            R = view.lengths.shape[0]
            figures = {"cancelled": np.array([_cancelled([vectors for *_, vectors in parts], r) for r in range(R)])}
            return Measured(figures, [[_rows(*part, r) for part in parts] for r in range(R)])

    def table_rows(self, config: Config) -> int:
        matrices = len(config.model.build_cell().recurrent)
        return config.task.timesteps * matrices * len(self.table) * config.model.layers


def _parts(view: View, adjoint: KeptRows) -> Iterator[tuple[str, list[Scaled]]]:
    """By recurrent matrix, G_t of every timestep."""
    by_timestep = [adjoint.recurrent_sums(t) for t in range(adjoint.totals.mantissa.shape[1])]
    for name in view.network.cell.recurrent:
        yield name, [sums[name] for sums in by_timestep]


def _scaled(parts: list[Scaled], r: int) -> tuple[np.ndarray, int]:
    """G_t of one replica as rows [T, P], in units of 2^exponent."""
    exponents = np.array([int(part.exponent[r]) for part in parts])
    rows = np.stack([part.mantissa[r].flatten().numpy() for part in parts])
    there = rows.any(1)
    top = int(exponents[there].max()) if there.any() else 0
    return rows * np.exp2(np.clip(exponents - top, -2000, 0))[:, None], top


def _rows(index: int, name: str, parts: list[Scaled], r: int) -> TableRows:
    rows, _ = _scaled(parts, r)
    whole, sizes = rows.sum(0), np.array([np.linalg.norm(part.mantissa[r].numpy()) for part in parts])
    exponents = np.array([int(part.exponent[r]) for part in parts])
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1), np.finfo(float).tiny)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = np.where(rows.any(1), unit @ (whole / np.linalg.norm(whole)), np.nan)
        logs = np.log10(sizes) + exponents * LOG10_2
    return TableRows(index, name, range(len(parts)), {"log10_norm": logs, "cosine": cosine})


def _cancelled(matrices: list[list[Scaled]], r: int) -> float:
    scaled = [_scaled(parts, r) for parts in matrices]
    if not scaled:
        return np.nan
    top = max(exponent for _, exponent in scaled)
    rows = np.concatenate([rows * 2.0 ** max(exponent - top, -2000) for rows, exponent in scaled], 1)
    sizes = np.linalg.norm(rows, axis=1).sum()
    return float(1 - np.linalg.norm(rows.sum(0)) / sizes) if sizes else np.nan
