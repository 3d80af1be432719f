"""The probe `theory`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from rnnlab.analysis.theory import diagonal_rate, mean_field_slope, vanishing_bound
from rnnlab.column import Column
from rnnlab.probes.base import Measured, Probe, TableRows, View, one_thread
from rnnlab.probes.charts import Chart
from rnnlab.probes.summary_lines import SummaryLine

if TYPE_CHECKING:
    from rnnlab.config import Config
    from rnnlab.gradients.unrolled import LayerReplay
    from rnnlab.probes.base import Floats

_SLOPES = {"tanh": 1.0, "relu": 1.0, "linear": 1.0, "sigmoid": 0.25}
"""Largest slope of a nonlinearity."""
_ORTHOGONAL = 1e-5
"""Largest relative difference between the singular values of an orthogonal matrix in float32, times rho."""

_ROUNDING = 1e-12


class Theory(Probe):
    """What closed forms say of a layer's recurrence: the slope of log10 ||dL/dh_t|| against lag, where one is known.

    Each is taken from the layer's own weights and this batch's inputs. `mean field`, of a wide tanh rnn: log10(chi_1)
    / 2 with g^2 = H mean(W_hh^2), and the mean square of x_t W_ih + b + b_hh as the variance of the input. `rho^lag`,
    of a linear rnn whose W_hh is rho times an orthogonal matrix: log10(rho). `vanishing bound`, of an rnn with
    sigma_max(W_hh) < 1 / gamma, gamma the largest slope of phi: the curve falls at least as steeply as
    log10(gamma sigma_max). `mean log of the diagonal`, of lru and mingru: of |lambda_i|, or of 1 - u_t over units and
    the batch's timesteps. For other networks nothing is known, and nothing is written.

    >>> list(THEORIES)
    ['mean field', 'rho^lag', 'vanishing bound', 'mean log of the diagonal']
    """

    source: ClassVar[str] = (
        "Chen, Pennington and Schoenholz, Dynamical isometry and a mean field theory of RNNs, 2018, arXiv:1806.05394; "
        "Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013, arXiv:1211.5063; "
        "Orvieto et al., Resurrecting recurrent neural networks for long sequences, 2023, arXiv:2303.06349"
    )
    table: ClassVar[tuple[Column, ...]] = (
        Column("slope", "number", "decades / timestep", "by theory, as the part is named", "of log10 ||dL/dh_t||"),
    )
    at: ClassVar[str] = "lags that it is the change over"
    charts: ClassVar[tuple[Chart, ...]] = (Chart("slope", "slope by theory", "decades / timestep"),)
    summary: ClassVar[tuple[SummaryLine, ...]] = (SummaryLine("by theory", "{slope.first:+.4g} decades a timestep"),)

    name: Literal["theory"] = "theory"

    def measure(self, view: View) -> Measured:
        with one_thread():
            layers = view.replay()
            return Measured(tables=[_rows(layers, r) for r in range(view.lengths.shape[0])])

    def table_rows(self, config: Config) -> int:
        return len(THEORIES) * config.model.layers


def _rows(layers: list[LayerReplay], r: int) -> list[TableRows]:
    rows = []
    for index, layer in enumerate(layers):
        for name, theory in THEORIES.items():
            slope = theory(layer, r)
            if slope is not None and math.isfinite(slope):
                rows.append(TableRows(index, name, [1], {"slope": [slope]}))
    return rows


def _mean_field(layer: LayerReplay, r: int) -> float | None:
    if _phi(layer) != "tanh":
        return None
    weights = layer.map.layer
    W = weights.recurrent["W_hh"][r]
    biases = weights.b[r] if weights.b_hh is None else weights.b[r] + weights.b_hh[r]
    inputs = (layer.x[r] @ weights.W_ih[r] + biases)[layer.alive[r]]
    return mean_field_slope(float(len(W) * W.square().mean()), float(inputs.square().mean()))


def _power(layer: LayerReplay, r: int) -> float | None:
    if _phi(layer) != "linear":
        return None
    sigmas = _sigmas(layer, r)
    return math.log10(sigmas[0]) if sigmas[-1] > (1 - _ORTHOGONAL) * sigmas[0] else None


def _bound(layer: LayerReplay, r: int) -> float | None:
    gamma = _SLOPES.get(_phi(layer))
    largest = None if gamma is None else _sigmas(layer, r)[0]
    if gamma is None or largest is None or not 0 < largest < (1 - _ROUNDING) * vanishing_bound(gamma):
        return None
    return math.log10(gamma * largest)


def _diagonal(layer: LayerReplay, r: int) -> float | None:
    cell = layer.map.cell.key()
    if cell == "lru":
        # W_hh is normal, so that its singular values are |lambda_i|, those of a complex unit twice.
        return diagonal_rate(_sigmas(layer, r))
    if cell == "mingru":
        update = layer.gates[0][r][layer.alive[r]]
        return float(np.mean(np.log1p(-update.numpy()) / np.log(10)))
    return None


THEORIES: Mapping[str, Callable[[LayerReplay, int], float | None]] = {
    "mean field": _mean_field,
    "rho^lag": _power,
    "vanishing bound": _bound,
    "mean log of the diagonal": _diagonal,
}
"""By name: the slope of one replica's layer in decades a timestep, or None where the theory says nothing of it."""


def _phi(layer: LayerReplay) -> str:
    """The nonlinearity of an rnn; empty for another cell."""
    cell = layer.map.cell
    return cell.nonlinearities()[0] if cell.key() == "rnn" else ""


def _sigmas(layer: LayerReplay, r: int) -> Floats:
    return np.asarray(np.linalg.svd(layer.map.layer.recurrent["W_hh"][r].numpy(), compute_uv=False))
