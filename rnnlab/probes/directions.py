"""The probe `directions`."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np

from rnnlab.analysis.gradient_noise import GradientNoise, combined_cosine
from rnnlab.column import Column
from rnnlab.logspace import log10_total
from rnnlab.probes.base import Measured, Probe, TableRows, View, one_thread
from rnnlab.probes.summary_lines import SummaryLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from rnnlab.config import Config
    from rnnlab.probes.base import Floats
    from rnnlab.scan.scaled import Scaled


CHUNK = 1 << 22
"""Numbers in the gradients of single samples that are held at once; the more there are, the more memory it takes."""


class Directions(Probe):
    """Whether gradients point one way: over samples, timesteps, and batches; and the gradient noise scale.

    d_{t,b} = dL/dh_{t,b} of the batch-mean loss, one vector a sample; likewise of the other states. Their sum over the
    batch is what the weights get to see of a timestep. Its norm beside the sum of their norms tells what cancels over
    the batch: `batch_share` is 1 where all point one way, about 1/sqrt(B) where they are independent, and 0 where they
    cancel. Samples whose gradient is zero, such as those that have ended, have no direction. With the adjoint clip d is
    the clipped signal, as it is in gradients.csv.

    g_b = B dL_b/dW is the gradient of a sample, and their mean g = dL/dW that of the batch. With tr(Sigma) = sum_b
    |g_b - g|^2 / (B-1) and |G|^2 = |g|^2 - tr(Sigma) / B, both without bias, the noise scale is the batch that has as
    much noise as gradient; it is nan where all of |g|^2 may be noise. Over several updates average its two parts,
    10^(2 gradient_log10_spread) and gradient_signal * grad_norm^2, not their ratio. The cosine of the batch's two
    halves is that of two updates of B/2 samples at the same weights: on average about 1 / (1 + 2 scale / B), and 1 or
    -1 where all samples' gradients lie on one line. Figures of metrics.csv are over all parameters, those of
    probes.csv of each.

    >>> [column.name for column in Directions.columns]
    ['gradient_noise_scale', 'gradient_log10_spread', 'gradient_signal', 'gradient_cosine']
    """

    source: ClassVar[str] = (
        "McCandlish, Kaplan and Amodei, An empirical model of large-batch training, 2018, arXiv:1812.06162; "
        "Xing, Arpit, Tsirigotis and Bengio, A walk with SGD, 2018, arXiv:1802.08770"
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            "gradient_noise_scale", "number", "samples", "tr(Sigma) / |G|^2", "batch with as much noise as gradient"
        ),
        Column(
            "gradient_log10_spread", "number", "decades", "log10 sqrt(tr(Sigma))", "spread of the samples' gradients"
        ),
        Column("gradient_signal", "number", "1", "|G|^2 / |g|^2", "what of the batch's squared gradient is no noise"),
        Column("gradient_cosine", "number", "1", "cos(g_1, g_2)", "of the gradients of the batch's two halves"),
    )
    table: ClassVar[tuple[Column, ...]] = (
        Column(
            "log10_batch_norm", "log10", "decades", "log10 ||sum_b d_{t,b}||", "summed over the batch before its norm"
        ),
        Column("batch_share", "number", "1", "||sum_b d_{t,b}|| / sum_b ||d_{t,b}||", "what is left of it, in [0, 1]"),
        Column("cosine_samples", "number", "1", "mean_{b != b'} cos(d_{t,b}, d_{t,b'})", "over pairs of samples"),
        Column("cosine_timesteps", "number", "1", "mean_b cos(d_{t,b}, d_{t+1,b})", "with the timestep behind it"),
        Column("log10_gradient", "log10", "decades", "log10 ||dL/dW||_F", "of a parameter W"),
        Column("noise_scale", "number", "samples", "tr(Sigma) / |G|^2", "of a parameter"),
        Column("cosine_halves", "number", "1", "cos(g_1, g_2)", "of a parameter, of the batch's two halves"),
    )
    at: ClassVar[str] = "t; 0 of a parameter"
    summary: ClassVar[tuple[SummaryLine, ...]] = (
        SummaryLine("gradient noise scale", "{gradient_noise_scale:.3g} samples"),
        SummaryLine("signal in the gradient", "{gradient_signal:.1%} of |dL/dW|^2; at 0 or below all may be noise"),
        SummaryLine("cosine of half batches", "{gradient_cosine:.3f}"),
        SummaryLine(
            "left over the batch", "{batch_share.first:.1%} at t = {at.first:.0f}, {batch_share.mean:.1%} on average"
        ),
        SummaryLine("cosine over samples", "{cosine_samples.mean:.3f} on average over t"),
        SummaryLine("cosine over timesteps", "{cosine_timesteps.mean:.3f} on average over t"),
    )

    name: Literal["directions"] = "directions"

    def measure(self, view: View) -> Measured:
        with one_thread():
            by_state, by_parameter = [*_by_state(view)], _by_parameter(view)
        single = [_quantities(name, view.network.shape.layers, each) for name, each in by_parameter.items()]
        tables = [
            [*(_rows(*each, r, T) for each in by_state), *(_rows(*each, r, 1) for each in single)]
            for r, T in enumerate(view.lengths.amax(1).tolist())
        ]
        return Measured(_over_all([*by_parameter.values()]), tables)

    def table_rows(self, config: Config) -> int:
        cell, layers, places = config.model.build_cell(), config.model.layers, 4
        of_parameters = (3 + len(cell.recurrent)) * layers + 2
        return config.task.timesteps * len(cell.states) * places * layers + of_parameters * (len(self.table) - places)


def _rows(layer: int, part: str, quantities: dict[str, Floats], r: int, n: int) -> TableRows:
    """Of one replica, at its first n places."""
    return TableRows(layer, part, range(n), {name: values[r, :n] for name, values in quantities.items()})


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


class _Parameter(NamedTuple):
    """What is known of the samples' gradients of one parameter."""

    noise: GradientNoise
    cosine: Floats
    """Of the two halves of the batch, [R]."""
    halves: Floats
    """log10 of their norms, [2, R]."""


def _by_parameter(view: View) -> dict[str, _Parameter]:
    """By parameter, from the gradients of some samples at a time."""
    from rnnlab.scan.scaled import Scaled, add, sum_of_products

    (R, B), half = view.lengths.shape, view.lengths.shape[1] // 2
    means = {name: _as_rows(gradient, 1) for name, gradient in view.unrolled.gradients.items()}
    nothing = {name: Scaled(mean.mantissa * 0, mean.exponent * 0) for name, mean in means.items()}
    sums = (nothing, dict(nothing))
    deviations: dict[str, list[Floats]] = {name: [] for name in means}
    steps = range(0, B, max(1, CHUNK // (R * view.network.count())))
    for start, stop in itertools.pairwise(sorted({*steps, half, B})):
        of_half = sums[start >= half]
        for name, gradient in view.sample_gradients(slice(start, stop)).items():
            rows, mean = _as_rows(gradient, 2), means[name]
            of_half[name] = add(of_half[name], sum_of_products(None, rows))
            opposite = Scaled(
                -mean.mantissa[:, None].expand_as(rows.mantissa), mean.exponent[:, None].expand(R, stop - start)
            )
            deviations[name].append(add(rows, opposite).log10_norm().numpy())
    return {
        name: _Parameter(
            GradientNoise(np.concatenate(deviations[name], 1), mean.log10_norm().numpy()),
            *_of_halves(*(of_half[name] for of_half in sums)),
        )
        for name, mean in means.items()
    }


def _as_rows(gradient: Scaled, axes: int) -> Scaled:
    """A gradient whose exponent has so many axes, with the rest as one row."""
    from rnnlab.scan.scaled import Scaled

    return Scaled.of(gradient.mantissa.flatten(axes), gradient.exponent)


def _of_halves(*halves: Scaled) -> tuple[Floats, Floats]:
    """The cosine of two rows [R, P], and log10 of their norms [2, R]."""
    import torch

    first, second = (type(half).of(*half) for half in halves)
    sizes = [torch.linalg.vector_norm(half.mantissa, dim=-1) for half in (first, second)]
    cosine = (first.mantissa * second.mantissa).sum(-1) / (sizes[0] * sizes[1])
    return cosine.numpy(), np.stack([half.log10_norm().numpy() for half in (first, second)])


def _quantities(name: str, layers: int, of_parameter: _Parameter) -> tuple[int, str, dict[str, Floats]]:
    """Its rows of the table: the layer, which of the read-out is the top one, the part, and quantities [R, 1]."""
    layer, _, part = name.removeprefix("layer").partition(".")
    place = (int(layer), part) if name.startswith("layer") else (layers - 1, name)
    noise = of_parameter.noise
    quantities = {"log10_gradient": noise.log10_mean, "noise_scale": noise.scale, "cosine_halves": of_parameter.cosine}
    return *place, {key: values[:, None] for key, values in quantities.items()}


def _over_all(parameters: list[_Parameter]) -> dict[str, Floats]:
    """The columns of metrics.csv, [R]."""
    noise = GradientNoise(
        log10_total(np.stack([each.noise.log10_deviations for each in parameters], -1)),
        log10_total(np.stack([each.noise.log10_mean for each in parameters], -1)),
    )
    halves = np.stack([each.halves for each in parameters], -1)
    return {
        "gradient_noise_scale": noise.scale,
        "gradient_log10_spread": noise.log10_spread,
        "gradient_signal": noise.signal,
        "gradient_cosine": combined_cosine(np.stack([each.cosine for each in parameters], -1), halves),
    }
