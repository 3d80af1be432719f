"""The probe `saturation`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from rnnlab.column import Column
from rnnlab.probes.base import Figures, Probe, View, to_numpy
from rnnlab.probes.charts import Chart
from rnnlab.probes.summary_lines import SummaryLine

if TYPE_CHECKING:
    from torch import Tensor


def _never(activation: Tensor) -> Tensor:
    import torch

    return torch.zeros_like(activation, dtype=torch.bool)


# The slope is below 36% of its largest: beyond 0.1 and 0.9 of a sigmoid's range.
SATURATED: Mapping[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": lambda activation: (activation - 0.5).abs() > 0.4,
    "tanh": lambda activation: activation.abs() > 0.8,
    "relu": lambda activation: activation <= 0,
    "linear": _never,
}
"""By nonlinearity: which activations are saturated, as a mask of the same shape."""


class Saturation(Probe):
    """Share of gate activations whose slope is below 36% of its largest (sigmoid beyond [0.1, 0.9]), to metrics.csv.

    The share is over layers, gates, units, samples and their timesteps. A gate whose nonlinearity is none of sigmoid,
    tanh, relu and linear is not counted; where no gate is, the cell stays empty.

    >>> import torch
    >>> SATURATED["tanh"](torch.tensor([0.5, -0.9]))
    tensor([False,  True])
    """

    source: ClassVar[str] = (
        "Karpathy, Johnson and Fei-Fei, Visualizing and understanding recurrent networks, 2015, arXiv:1506.02078"
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("saturation", "number", "1", "share of phi' < 0.36 max phi'", "activations whose slope is nearly gone"),
    )
    rank: ClassVar[int] = 2
    charts: ClassVar[tuple[Chart, ...]] = (Chart("saturation", "saturated share of the gates"),)
    summary: ClassVar[tuple[SummaryLine, ...]] = (SummaryLine("saturated", "{saturation:.1%} of all gate activations"),)

    name: Literal["saturation"] = "saturation"

    def measure(self, view: View) -> Figures:
        import torch

        gates, lengths = view.result.gates(), view.lengths
        T = gates[0][0].shape[1]
        alive = (torch.arange(T, device=lengths.device)[None, :, None] < lengths[:, None])[..., None]
        shares = [
            (SATURATED[nonlinearity](gate) & alive).sum((1, 2, 3)).double() / (alive.sum((1, 2, 3)) * gate.shape[-1])
            for layer in gates
            for gate, nonlinearity in zip(layer, view.network.cell.nonlinearities(), strict=True)
            if nonlinearity in SATURATED
        ]
        return {"saturation": to_numpy(torch.stack(shares).mean(0))} if shares else {}
