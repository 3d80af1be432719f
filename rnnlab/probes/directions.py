"""The probe `directions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from rnnlab.column import Column
from rnnlab.probes.base import Measured, Probe, TableRows, View, one_thread
from rnnlab.probes.summary_lines import SummaryLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from rnnlab.config import Config
    from rnnlab.probes.base import Floats
    from rnnlab.scan.scaled import Scaled


class Directions(Probe):
    """Whether total gradients point one way: those of the batch's samples, and of neighbouring timesteps.

    d_{t,b} = dL/dh_{t,b} of the batch-mean loss, one vector a sample; likewise of the other states. Their sum over the
    batch is what the weights get to see of a timestep. Its norm beside the sum of their norms tells what cancels over
    the batch: `batch_share` is 1 where all point one way, about 1/sqrt(B) where they are independent, and 0 where they
    cancel. Samples whose gradient is zero, such as those that have ended, have no direction. With the adjoint clip d is
    the clipped signal, as it is in gradients.csv.

    >>> [column.name for column in Directions.table]
    ['log10_batch_norm', 'batch_share', 'cosine_samples', 'cosine_timesteps']
    """

    source: ClassVar[str] = (
        "Bengio, Simard and Frasconi, Learning long-term dependencies with gradient descent is difficult, 1994, "
        "doi:10.1109/72.279181"
    )
    table: ClassVar[tuple[Column, ...]] = (
        Column(
            "log10_batch_norm", "log10", "decades", "log10 ||sum_b d_{t,b}||", "summed over the batch before its norm"
        ),
        Column("batch_share", "number", "1", "||sum_b d_{t,b}|| / sum_b ||d_{t,b}||", "what is left of it, in [0, 1]"),
        Column("cosine_samples", "number", "1", "mean_{b != b'} cos(d_{t,b}, d_{t,b'})", "over pairs of samples"),
        Column("cosine_timesteps", "number", "1", "mean_b cos(d_{t,b}, d_{t+1,b})", "with the timestep behind it"),
    )
    at: ClassVar[str] = "t"
    summary: ClassVar[tuple[SummaryLine, ...]] = (
        SummaryLine(
            "left over the batch", "{batch_share.first:.1%} at t = {at.first:.0f}, {batch_share.mean:.1%} on average"
        ),
        SummaryLine("cosine over samples", "{cosine_samples.mean:.3f} on average over t"),
        SummaryLine("cosine over timesteps", "{cosine_timesteps.mean:.3f} on average over t"),
    )

    name: Literal["directions"] = "directions"

    def measure(self, view: View) -> Measured:
        with one_thread():
            by_state = [*_by_state(view)]
        longest = view.lengths.amax(1).tolist()
        return Measured(
            tables=[
                [
                    TableRows(layer, state, range(T), {name: values[r, :T] for name, values in quantities.items()})
                    for layer, state, quantities in by_state
                ]
                for r, T in enumerate(longest)
            ]
        )

    def table_rows(self, config: Config) -> int:
        states = len(config.model.build_cell().states)
        return config.task.timesteps * states * len(self.table) * config.model.layers


def _by_state(view: View) -> Iterator[tuple[int, str, dict[str, Floats]]]:
    """Of each layer and state its quantities of the table, [R, T]."""
    from rnnlab.scan.scaled import Scaled

    states = view.network.cell.states
    for index, adjoint in enumerate(view.unrolled.rows or ()):
        mantissa, exponent = adjoint.totals
        for state, part in zip(states, mantissa.chunk(len(states), -1), strict=True):
            rows = Scaled.of(part, exponent)
            quantities = {**_over_batch(rows), **_cosines(rows)}
            yield index, state, {name: values.numpy() for name, values in quantities.items()}


def _over_batch(rows: Scaled) -> dict[str, Tensor]:
    """Of rows [R, T, B, H]: the norm of their sum over the batch, and its share of the sum of their norms."""
    import torch

    from rnnlab.scan.scaled import Scaled, sum_of_products

    whole = sum_of_products(None, Scaled(*(part.flatten(0, 1) for part in rows)))
    log10_norm = whole.log10_norm().view(rows.exponent.shape[:2])
    log10_sum = torch.logsumexp(rows.log10_norm() * np.log(10), -1) / np.log(10)
    # Rounding of the two logs may put it above 1.
    return {"log10_batch_norm": log10_norm, "batch_share": (10 ** (log10_norm - log10_sum)).clamp(max=1)}


def _cosines(rows: Scaled) -> dict[str, Tensor]:
    """Means over the pairs of samples, and over the samples of neighbouring timesteps; nan where there are none."""
    import torch

    norms = torch.linalg.vector_norm(rows.mantissa, dim=-1)
    there = norms != 0
    unit = rows.mantissa / norms.where(there, 1)[..., None]
    count = there.sum(-1)
    pairs = count * (count - 1)
    of_samples = (unit.sum(2).square().sum(-1) - count) / pairs.where(pairs > 0, torch.nan)
    both = there[:, :-1] & there[:, 1:]
    of_timesteps = (unit[:, :-1] * unit[:, 1:]).sum((2, 3)) / both.sum(-1)
    last = torch.full_like(of_samples[:, :1], torch.nan)
    return {"cosine_samples": of_samples, "cosine_timesteps": torch.cat([of_timesteps, last], 1)}
