"""The probe `weights`."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

from rnnlab.column import Column
from rnnlab.probes.base import Figures, Probe, View
from rnnlab.probes.summary_lines import SummaryLine


class Weights(Probe):
    """L2 norm of all parameters and of the change that this update made to them, to metrics.csv.

    >>> [column.name for column in Weights.columns]
    ['weight_norm', 'update_norm']
    """

    columns: ClassVar[tuple[Column, ...]] = (
        Column("weight_norm", "number", "weight", "||W||_2", "global norm of all parameters after the update"),
        Column(
            "update_norm", "number", "weight", "||W_after - W_before||_2", "size of the change that this update made"
        ),
    )
    rank: ClassVar[int] = 0
    needs_update: ClassVar[bool] = True
    summary: ClassVar[tuple[SummaryLine, ...]] = (
        SummaryLine("norm of the weights", "{weight_norm:.4g}; of the update {update_norm:.3g}"),
    )

    name: Literal["weights"] = "weights"

    def measure(self, view: View) -> Callable[[], Figures]:
        parameters = [parameter.detach() for parameter in view.network.parameters.values()]
        before = [parameter.clone() for parameter in parameters]

        def after() -> Figures:
            changes = [new - old for new, old in zip(parameters, before, strict=True)]
            return {"weight_norm": view.norms(parameters), "update_norm": view.norms(changes)}

        return after
