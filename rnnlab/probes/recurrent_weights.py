"""The probe `recurrent`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from rnnlab.column import Column
from rnnlab.probes.base import Measured, Probe, TableRows, View, one_thread, to_numpy
from rnnlab.probes.charts import Chart
from rnnlab.probes.omega import omega, spans
from rnnlab.probes.summary_lines import SummaryLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rnnlab.config import Config
    from rnnlab.probes.base import Floats


class RecurrentWeights(Probe):
    """The recurrent weights of each gate: eigenvalues, singular values, orthogonality, normality; and Pascanu's Omega.

    W is the [H, H] block of a gate. Omega tells how far the adjoint is from keeping its norm on its way back through
    h, summed over timesteps and layers, mean over the batch's sequences; 0 for an isometry.

    >>> import numpy as np
    >>> [round(value, 3) for value in figures_of(np.array([[0.0, 2.0], [0.0, 0.0]]))]  # nilpotent
    [0.0, 2.0, 0.0, 3.162, 1.0]
    """

    source: ClassVar[str] = (
        "Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013, arXiv:1211.5063; "
        "Henrici, Bounds for iterates, inverses, spectral variation and fields of values of non-normal matrices, 1962, "
        "doi:10.1007/BF01386294"
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("omega", "number", "1", "sum_t (||J_t^T d_t|| / ||d_t|| - 1)^2, d_t = dL/ds_t", "Pascanu's regularizer"),
    )
    table: ClassVar[tuple[Column, ...]] = (
        Column("radius", "number", "1", "max |eigenvalue(W)|", "spectral radius"),
        Column("sigma_max", "number", "1", "max sigma(W)", "largest singular value"),
        Column("sigma_min", "number", "1", "min sigma(W)", "smallest singular value"),
        Column("orthogonality_error", "number", "1", "||W^T W - I||_F", "0 for an orthogonal matrix"),
        Column(
            "non_normality", "number", "1", "sqrt(||W||_F^2 - sum |eigenvalue|^2) / ||W||_F", "Henrici's, in [0, 1]"
        ),
    )
    at: ClassVar[str] = "the block's place in its parameter, from 0"
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("radius", "spectral radius"),
        Chart("sigma_max", "largest singular value"),
        Chart("sigma_min", "smallest singular value"),
        Chart("orthogonality_error", "orthogonality error"),
        Chart("non_normality", "non-normality"),
        Chart("omega", "Omega", scale="log"),
    )
    summary: ClassVar[tuple[SummaryLine, ...]] = (
        SummaryLine("Omega", "{omega:.4g}"),
        SummaryLine(
            "recurrent weights",
            "radius {radius.first:.3g}, sigma {sigma_min.first:.3g} to {sigma_max.first:.3g}, "
            "non-normality {non_normality.first:.2g}",
        ),
    )

    name: Literal["recurrent"] = "recurrent"

    def measure(self, view: View) -> Measured:
        with one_thread():
            tables = [list(_rows(view, r)) for r in range(view.lengths.shape[0])]
            return Measured({"omega": _omega(view)}, tables)

    def table_rows(self, config: Config) -> int:
        blocks = sum(len(gates) for gates in config.model.build_cell().recurrent.values())
        return blocks * len(self.table) * config.model.layers


def _rows(view: View, r: int) -> Iterator[TableRows]:
    H = view.network.shape.hidden
    for index, layer in enumerate(view.network.layers):
        for name, gates in view.network.cell.recurrent.items():
            W = to_numpy(layer.recurrent[name][r].double())
            for k, gate in enumerate(gates):
                block = W[:, k * H : (k + 1) * H]
                # A diagonal weight has one row.
                values = figures_of(block if len(block) == H else np.diag(block[0]))
                quantities = {
                    column.name: [value] for column, value in zip(RecurrentWeights.table, values, strict=True)
                }
                yield TableRows(index, gate, [k], quantities)


def figures_of(W: Floats) -> list[float]:
    """The quantities of the table, of one block [H, H]; nan where it is not finite."""
    if not np.isfinite(W).all():
        return [np.nan] * len(RecurrentWeights.table)
    eigenvalues, sigmas = np.linalg.eigvals(W), np.linalg.svd(W, compute_uv=False)
    size = float(np.linalg.norm(W))
    departure = np.sqrt(max(0.0, 1 - float(np.sum(np.abs(eigenvalues / size) ** 2)))) if size else 0.0
    error = float(np.linalg.norm(W.T @ W - np.eye(len(W))))
    return [float(np.abs(eigenvalues).max()), float(sigmas[0]), float(sigmas[-1]), error, float(departure)]


def _omega(view: View) -> Floats:
    """Omega of each replica [R], summed over layers."""
    layers, adjoints = view.replay(), view.unrolled.rows
    assert adjoints is not None
    values = np.zeros(len(view.lengths))
    for layer, adjoint in zip(layers, adjoints, strict=True):
        for span in spans(layer):
            values += omega(layer, adjoint, span).numpy()
    return values
