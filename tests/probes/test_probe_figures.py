"""What the probes write to metrics.csv, against NumPy and by what the words say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from oracles import F64, make_batch, make_network
from scans import LAST, cells_and_their_scans, run
from torch import Tensor

from rnnlab.cells import CELLS, Cell, Gru, Rnn
from rnnlab.gradients.view import UpdateView
from rnnlab.network.network import Network
from rnnlab.probes import Saturation, Spectrum, Weights
from rnnlab.probes.saturation import SATURATED


def view_of(network: Network) -> UpdateView:
    batch = make_batch(LAST, R=network.replicas)
    return UpdateView(0, network, run("fast", network, batch, LAST), batch, LAST)


def spectrum_of(network: Network) -> Any:
    return Spectrum().measure(UpdateView(0, network, None, None, LAST))  # type: ignore[arg-type]


def norms(tensors: list[Tensor]) -> Any:
    return UpdateView(0, None, None, None, LAST).norms(tensors)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CELLS)
def test_the_spectrum_is_numpys(name: str) -> None:
    network = make_network(CELLS[name](), R=3, layers=2, hidden=6, init="torch")
    result = spectrum_of(network)
    if not network.cell.recurrent:
        assert result == {}
        return
    for r in range(3):
        weights = [W[r].numpy() for layer in network.layers for W in layer.recurrent.values()]
        blocks = [block for W in weights for block in np.split(W, W.shape[1] // 6, axis=1)]
        radius = max(np.abs(np.linalg.eigvals(block)).max() for block in blocks)
        sigma = max(np.linalg.svd(block, compute_uv=False)[0] for block in blocks)
        assert result["recurrent_radius"][r] == pytest.approx(radius, rel=1e-10)
        assert result["recurrent_sigma_max"][r] == pytest.approx(sigma, rel=1e-10)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_spectrum_of_a_broken_weight_is_nan_and_others_stay(bad: float) -> None:
    network = make_network(CELLS["lstm"](), R=3, layers=2)
    before = spectrum_of(network)
    network.parameters["layer1.W_hh"][1, 2, 7] = bad
    for name, values in spectrum_of(network).items():
        assert math.isnan(values[1])
        np.testing.assert_array_equal(values[[0, 2]], before[name][[0, 2]])


@pytest.mark.parametrize("nonlinearity", SATURATED)
def test_saturated_is_a_slope_below_36_percent_of_its_largest(nonlinearity: str) -> None:
    a = torch.linspace(-6, 6, 1001, dtype=F64, requires_grad=True)
    activation = a * 1 if nonlinearity == "linear" else getattr(a, nonlinearity)()
    (slope,) = torch.autograd.grad(activation.sum(), a)
    assert torch.equal(SATURATED[nonlinearity](activation.detach()), slope < 0.36 * slope.max())


@cells_and_their_scans
def test_saturation_is_the_share_of_living_activations(cell: Cell, scan: str) -> None:
    network, batch = make_network(cell, R=2, layers=2), make_batch(LAST, R=2, T=7, B=4, ragged=True)
    for weight in network.parameters.values():
        weight *= 3
    result = run(scan, network, batch, LAST)
    shares = Saturation().measure(UpdateView(0, network, result, batch, LAST))["saturation"]
    for r in range(2):
        flags = [
            SATURATED[nonlinearity](gate[r, :length, b]).flatten()
            for layer in result.gates()
            for gate, nonlinearity in zip(layer, cell.nonlinearities(), strict=True)
            for b, length in enumerate(batch.lengths[r].tolist())
        ]
        assert shares[r] == pytest.approx(torch.cat(flags).double().mean().item(), rel=1e-14)
    assert shares.max() > 0.1 or cell.nonlinearities() == ("linear",)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_l2_norm_is_over_all_tensors_of_a_replica(dtype: torch.dtype) -> None:
    g = torch.Generator().manual_seed(0)
    tensors = [torch.randn(2, *shape, generator=g, dtype=dtype) for shape in [(3, 4), (5,), (1, 2, 3)]]
    for r, result in enumerate(norms(tensors)):
        squares = [value**2 for one in tensors for value in one[r].flatten().tolist()]
        assert result == pytest.approx(math.sqrt(math.fsum(squares)), rel=1e-12)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_l2_norm_holds_what_a_float64_holds(size: float) -> None:
    result = norms([torch.tensor([[3 * size]], dtype=F64), torch.tensor([[4 * size]], dtype=F64)])
    assert result[0] == pytest.approx(5 * size, rel=1e-12, abs=0)


def test_l2_norm_of_what_is_not_finite() -> None:
    values = torch.tensor([[0.0], [math.inf], [math.nan]])
    np.testing.assert_array_equal(norms([values, torch.zeros(3, 2)]), [0, math.inf, math.nan])


def test_the_update_norm_is_that_of_the_change() -> None:
    """Taken in two parts, before the weights move and after; what moves later changes neither."""
    network = make_network(CELLS["lstm"](), R=3, layers=2)
    before = {name: weight.clone() for name, weight in network.parameters.items()}
    later = Weights().measure(view_of(network))
    for r, change in enumerate((0.0, 1e-3, 2.0)):
        for weight in network.parameters.values():
            weight[r] += change
    figures = later()
    for r in range(3):
        moved = [network.parameters[name][r] - weight[r] for name, weight in before.items()]
        whole = [weight[r] for weight in network.parameters.values()]
        for name, parts in (("update_norm", moved), ("weight_norm", whole)):
            expected = np.linalg.norm(torch.cat([part.flatten() for part in parts]).numpy())
            assert figures[name][r] == pytest.approx(expected, rel=1e-12)


class _Softsign(Rnn):
    def nonlinearities(self) -> tuple[str, ...]:
        return ("softsign",)


class _HalfKnown(Gru):
    def nonlinearities(self) -> tuple[str, ...]:
        return ("sigmoid", "softsign", "softsign")


def test_a_nonlinearity_that_has_no_rule_is_not_counted() -> None:
    assert Saturation().measure(view_of(make_network(_Softsign(), R=2))) == {}
    view = view_of(make_network(_HalfKnown(), R=2, layers=2))
    gates = [layer[0] for layer in view.result.gates()]
    expected = torch.stack([SATURATED["sigmoid"](gate).double().mean((1, 2, 3)) for gate in gates]).mean(0)
    np.testing.assert_allclose(Saturation().measure(view)["saturation"], expected, rtol=1e-14)
