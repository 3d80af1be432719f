"""The probe `spectrum`."""

from __future__ import annotations

from typing import ClassVar, Literal

from rnnlab.column import Column
from rnnlab.probes.base import Figures, Probe, View, to_numpy
from rnnlab.probes.charts import Chart
from rnnlab.probes.summary_lines import SummaryLine


class Spectrum(Probe):
    """Largest spectral radius and largest singular value over the gate blocks of the recurrent weights, to metrics.csv.

    The weights are what multiplies a state: of `antisymmetric` W_hh - W_hh^T - gamma 1, of `lru` the matrix of lambda.
    Without a recurrent product (`mingru`) the cells stay empty.

    >>> from types import SimpleNamespace
    >>> import torch
    >>> layer = SimpleNamespace(recurrent={"W_hh": torch.tensor([[[0.0, 2.0], [0.0, 0.0]]])})  # eigenvalues 0 and 0
    >>> network = SimpleNamespace(layers=[layer], shape=SimpleNamespace(hidden=2))
    >>> Spectrum().measure(SimpleNamespace(network=network))
    {'recurrent_radius': array([0.]), 'recurrent_sigma_max': array([2.])}
    """

    source: ClassVar[str] = (
        "Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013, arXiv:1211.5063"
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("recurrent_radius", "number", "1", "max |eigenvalue(W_hh)|", "largest over layers and gate blocks"),
        Column("recurrent_sigma_max", "number", "1", "max sigma(W_hh)", "largest over layers and gate blocks"),
    )
    rank: ClassVar[int] = 1
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("recurrent_radius", "spectral radius of the recurrent weights"),
        Chart("recurrent_sigma_max", "largest singular value of the recurrent weights"),
    )
    summary: ClassVar[tuple[SummaryLine, ...]] = (
        SummaryLine(
            "recurrent weights",
            "radius {recurrent_radius:.4g}, sigma_max {recurrent_sigma_max:.4g}, the largest of all",
        ),
    )

    name: Literal["spectrum"] = "spectrum"

    def measure(self, view: View) -> Figures:
        import torch

        radii, sigmas = [], []
        H = view.network.shape.hidden
        for W in (W for layer in view.network.layers for W in layer.recurrent.values()):
            blocks = W.detach().double().unflatten(2, (-1, H)).transpose(1, 2)
            # A diagonal weight has one row.
            blocks = blocks if blocks.shape[2] == H else torch.diag_embed(blocks[:, :, 0])
            finite = blocks.isfinite().all(-1).all(-1).all(-1)
            safe = torch.where(finite[:, None, None, None], blocks, 0)
            radii.append(torch.linalg.eigvals(safe).abs().amax((1, 2)).where(finite, torch.nan))
            sigmas.append(torch.linalg.matrix_norm(safe, 2).amax(1).where(finite, torch.nan))
        if not radii:
            return {}
        return {
            "recurrent_radius": to_numpy(torch.stack(radii).amax(0)),
            "recurrent_sigma_max": to_numpy(torch.stack(sigmas).amax(0)),
        }
