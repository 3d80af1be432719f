"""The probe `paths`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from rnnlab.column import Column
from rnnlab.logspace import LOG10_2
from rnnlab.probes.base import Measured, Probe, TableRows, View, one_thread
from rnnlab.probes.charts import Chart
from rnnlab.probes.summary_lines import SummaryLine

if TYPE_CHECKING:
    from rnnlab.config import Config
    from rnnlab.scan.scaled import Scaled


class Paths(Probe):
    """What of an LSTM's dL/dc_t comes along the product of forget gates alone, and what by all other paths.

    A_t = f_{t+1} * A_{t+1} + o_t * (1 - tanh(c_t)^2) * (dL/dh_t from outside the layer), and dL/dc_t = A_t + B_t: B_t
    is what passes at least once through h and the recurrent weights, and what h-detach takes away. Norms are over the
    batch and the units. Of cells that are no LSTM nothing is written.

    >>> from rnnlab.config import load_config
    >>> [Paths().table_rows(load_config({"task": "addition", "model": {"cell": cell}})) for cell in ("lstm", "gru")]
    [500, 0]
    """

    source: ClassVar[str] = (
        "Kanuparthi et al., h-detach: modifying the LSTM gradient towards better optimization, 2019, arXiv:1810.03023"
    )
    table: ClassVar[tuple[Column, ...]] = (
        Column("log10_total", "log10", "decades", "log10 ||dL/dc_t||_F", "by every path"),
        Column("log10_forget", "log10", "decades", "log10 ||A_t||_F", "along the forget gates alone"),
        Column("log10_others", "log10", "decades", "log10 ||B_t||_F", "by all other paths"),
        Column("forget_share", "number", "1", "||A_t||_F / (||A_t||_F + ||B_t||_F)", "of the forget gates alone"),
        Column("cosine", "number", "1", "<A_t, B_t> / (||A_t|| ||B_t||)", "whether they add up or cancel"),
    )
    at: ClassVar[str] = "t"
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("forget_share", "share along the forget gates", x="timestep t"),
        Chart("cosine", "cosine of the two parts", x="timestep t"),
        Chart("log10_forget", "log10 norm along the forget gates", x="timestep t"),
        Chart("log10_others", "log10 norm by other paths", x="timestep t"),
    )
    summary: ClassVar[tuple[SummaryLine, ...]] = (
        SummaryLine(
            "along forget gates",
            "{forget_share.first:.1%} of dL/dc_t at t = {at.first:.0f}, {forget_share.mean:.1%} on average over t",
        ),
    )

    name: Literal["paths"] = "paths"

    def measure(self, view: View) -> Measured:
        R = view.lengths.shape[0]
        if view.network.cell.states != ("h", "c") or view.network.cell.forget_gate is None:
            return Measured(tables=[[]] * R)
        with one_thread():
            layers = [_of_layer(view, index) for index in range(view.network.shape.layers)]
        return Measured(tables=[[_rows(index, *rows, r) for index, rows in enumerate(layers)] for r in range(R)])

    def table_rows(self, config: Config) -> int:
        cell = config.model.build_cell()
        if cell.states != ("h", "c") or cell.forget_gate is None:
            return 0
        return config.task.timesteps * len(self.table) * config.model.layers


def _of_layer(view: View, index: int) -> tuple[list[Scaled], list[Scaled]]:
    """A_t and B_t of every timestep: rows [R, B, H] with exponents [R, B]."""
    import torch

    from rnnlab.scan.scaled import NOTHING, Scaled, add

    layer, adjoints = view.replay()[index], view.unrolled.rows
    assert adjoints is not None
    adjoint, cell = adjoints[index], view.network.cell
    outputs = adjoint.outputs
    f, o = (layer.gates[cell.gates.index(gate)] for gate in (cell.forget_gate, "o"))
    T, H = f.shape[1], f.shape[3]
    nothing = Scaled(torch.zeros_like(f[:, 0]), torch.zeros(f.shape[0], f.shape[2], dtype=torch.int64))
    alone, others = [nothing], [nothing]
    for t in reversed(range(T)):
        slope = o[:, t] * (1 - layer.states[:, t + 1, :, H:].tanh().square())
        mantissa, sizes = adjoint.arriving.at(t)
        there = sizes != NOTHING
        arrived = Scaled(torch.where(there[..., None], mantissa * slope, 0), sizes.where(there, 0))
        through = nothing
        if t + 1 < T:
            d = outputs.mantissa[:, t + 1, :, None]
            back = layer.map.pull(layer.x[:, t + 1], layer.states[:, t + 1], d)[:, :, 0, :H]
            through = Scaled(back * slope, outputs.exponent[:, t + 1])
            alone.append(Scaled(f[:, t + 1] * alone[-1].mantissa, alone[-1].exponent))
            others.append(Scaled(f[:, t + 1] * others[-1].mantissa, others[-1].exponent))
        alone.append(add(alone.pop(), arrived))
        others.append(add(others.pop(), through))
    return alone[::-1], others[::-1]


def _rows(index: int, alone: list[Scaled], others: list[Scaled], r: int) -> TableRows:
    figures = [_figures(*(_vector(rows, r) for rows in pair)) for pair in zip(alone, others, strict=True)]
    columns = np.transpose(figures)
    return TableRows(index, "", range(len(alone)), {each.name: columns[k] for k, each in enumerate(Paths.table)})


def _vector(rows: Scaled, r: int) -> tuple[np.ndarray, int]:
    """All rows of one replica as one vector, in units of 2^exponent."""
    exponents = rows.exponent[r].numpy()
    there = rows.mantissa[r].numpy().any(-1)
    top = int(exponents[there].max()) if there.any() else 0
    factors = np.exp2(np.clip(exponents - top, -2000, 0).astype(float))
    return (rows.mantissa[r].numpy() * factors[:, None]).ravel(), top


def _figures(alone: tuple[np.ndarray, int], others: tuple[np.ndarray, int]) -> list[float]:
    """The quantities of the table at one timestep."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        sizes = [np.log10(np.linalg.norm(vector)) + exponent * LOG10_2 for vector, exponent in (alone, others)]
        top = max(alone[1], others[1])
        whole = sum(vector * 2.0 ** max(exponent - top, -2000) for vector, exponent in (alone, others))
        total = np.log10(np.linalg.norm(whole)) + top * LOG10_2
        share = 1 / (1 + 10 ** (sizes[1] - sizes[0]))
        cosine = alone[0] @ others[0] / (np.linalg.norm(alone[0]) * np.linalg.norm(others[0]))
    return [float(total), *map(float, sizes), float(share), float(cosine)]
