"""The probe `gates`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from rnnlab.column import Column
from rnnlab.probes.base import Measured, Probe, TableRows, View, one_thread
from rnnlab.probes.charts import Chart
from rnnlab.probes.saturation import SATURATED
from rnnlab.probes.summary_lines import SummaryLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from rnnlab.config import Config


class Gates(Probe):
    """Mean activation and saturation of each gate at each timestep, and the time scales of forget gates.

    Means are over units and the sequences alive at t. Saturated is what the probe `saturation` calls so; of a gate
    whose nonlinearity it does not know the share is nan. A unit whose forget gates have the geometric mean f over the
    batch's timesteps forgets by 1/e in -1 / ln f timesteps; without a forget gate the figures are nan.

    >>> [column.name for column in Gates.table]
    ['mean', 'saturated']
    """

    source: ClassVar[str] = (
        "Karpathy, Johnson and Fei-Fei, Visualizing and understanding recurrent networks, 2015, arXiv:1506.02078; "
        "Tallec and Ollivier, Can recurrent neural networks warp time?, 2018, arXiv:1804.11188"
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("forget_time_median", "number", "timesteps", "median_i -1 / mean_{b,t} ln f_i", "over units and layers"),
        Column("forget_time_max", "number", "timesteps", "max_i -1 / mean_{b,t} ln f_i", "of the slowest unit"),
    )
    table: ClassVar[tuple[Column, ...]] = (
        Column("mean", "number", "1", "mean_{b,i} gate_i", "mean activation"),
        Column("saturated", "number", "1", "share of phi' < 0.36 max phi'", "activations whose slope is nearly gone"),
    )
    at: ClassVar[str] = "t"
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("mean", "mean activation", x="timestep t"),
        Chart("saturated", "saturated share", x="timestep t"),
        Chart("forget_time_median", "median forget time", "timesteps", scale="log"),
        Chart("forget_time_max", "largest forget time", "timesteps", scale="log"),
    )
    summary: ClassVar[tuple[SummaryLine, ...]] = (
        SummaryLine("saturated", "{saturated.mean:.1%}, mean activation {mean.mean:.3g}"),
        SummaryLine("forget time", "median {forget_time_median:.3g}, largest {forget_time_max:.3g} timesteps"),
    )

    name: Literal["gates"] = "gates"

    def measure(self, view: View) -> Measured:
        import torch

        with one_thread():
            layers = view.replay()
            alive = layers[0].alive
            tables = [list(_rows(view, r, alive[r])) for r in range(len(alive))]
            times = torch.stack([_forget_times(view, r, alive[r]) for r in range(len(alive))])
            figures = {"forget_time_median": times.median(1).values.numpy(), "forget_time_max": times.amax(1).numpy()}
            return Measured(figures, tables)

    def table_rows(self, config: Config) -> int:
        return config.task.timesteps * len(config.model.build_cell().gates) * len(self.table) * config.model.layers


def _rows(view: View, r: int, alive: Tensor) -> Iterator[TableRows]:
    """alive [T, B]."""
    import torch

    cell, T = view.network.cell, int(alive.any(1).sum())
    weights = (alive.double() / alive.sum(1, keepdim=True).clamp(min=1))[:T, :, None]
    for index, layer in enumerate(view.replay()):
        for name, gate, nonlinearity in zip(cell.gates, layer.gates, cell.nonlinearities(), strict=True):
            activation = gate[r, :T]
            means = (activation * weights).sum(1).mean(1)
            saturated = torch.full_like(means, torch.nan)
            if nonlinearity in SATURATED:
                saturated = (SATURATED[nonlinearity](activation) * weights).sum(1).mean(1)
            yield TableRows(index, name, range(T), {"mean": means.numpy(), "saturated": saturated.numpy()})


def _forget_times(view: View, r: int, alive: Tensor) -> Tensor:
    """Of the units of all layers."""
    import torch

    cell = view.network.cell
    if cell.forget_gate is None:
        return torch.full((1,), torch.nan, dtype=torch.float64)
    gates = [layer.gates[cell.gates.index(cell.forget_gate)][r][alive] for layer in view.replay()]
    return torch.cat([-1 / gate.log().mean(0) for gate in gates])
