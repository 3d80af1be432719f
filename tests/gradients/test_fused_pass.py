"""The pass on torch's fused layers: its gradients are those of the exact scans, and where they cannot be, it says so.

On a CPU the layers are torch's own loops, on CUDA cuDNN's; all else is the same.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from oracles import F64, cell_name, make_batch, make_network
from scans import FUSED_CELLS, LAST, agree, run

from rnnlab.cells import Cell, Rnn
from rnnlab.clips import ClipNorm
from rnnlab.gradients.passes import FusedLayers, FusedPass, Pass, Scratch, Sequences, fast_pass, fused_pass
from rnnlab.gradients.readings import curves
from rnnlab.network.flat import Gradient, Layout
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective

F32 = torch.float32
VALUE = Objective("value", "last", per_timestep=False)
OBJECTIVES = [
    LAST,
    Objective("class", "all", per_timestep=True),
    Objective("value", "all", per_timestep=False),
    Objective("value", 2, per_timestep=True),
    Objective("class", -2, per_timestep=False),
]
every_cell = pytest.mark.parametrize("cell", FUSED_CELLS, ids=cell_name)


def fused(network: Network, batch: Sequences, objective: Objective) -> FusedPass:
    return fused_pass(network, batch, objective, FusedLayers(network))


def narrow(network: Network, batch: Sequences) -> tuple[Network, Sequences]:
    parameters = {name: value.float() for name, value in network.parameters.items()}
    y = batch.y.float() if batch.y.is_floating_point() else batch.y
    return Network(network.cell, network.shape, parameters), Sequences(batch.x.float(), y, batch.lengths)


def gradient_of(network: Network, found: Pass) -> Gradient:
    layout = Layout({name: value.shape[1:] for name, value in network.parameters.items()})
    return Gradient(list(found.gradients.values()), layout.width)


def same_tables(ours: Pass, theirs: Pass, network: Network, lengths: torch.Tensor) -> None:
    """Every column of gradients.csv, to the bit."""
    for rows, others in zip(curves(network, ours, lengths), curves(network, theirs, lengths), strict=True):
        for curve, other in zip(rows, others, strict=True):
            assert (curve.layer, curve.state) == (other.layer, other.state)
            for name, values in curve.columns.items():
                np.testing.assert_array_equal(values, other.columns[name], err_msg=name)


@pytest.mark.parametrize(
    ("ragged", "recurrent_bias"), [(False, False), (True, True)], ids=["even, one bias", "ragged, two biases"]
)
@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
@pytest.mark.parametrize("layers", [1, 3])
@every_cell
def test_equals_the_loop(cell: Cell, layers: int, objective: Objective, ragged: bool, recurrent_bias: bool) -> None:
    network = make_network(cell, layers=layers, recurrent_bias=recurrent_bias or cell.needs_recurrent_bias)
    batch = make_batch(objective, ragged=ragged)
    found = fused(network, batch, objective)
    assert not found.again
    assert list(found.gradients) == list(network.parameters)
    agree(found, network, batch, objective)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
@every_cell
def test_tables_gates_and_outputs_are_those_of_the_exact_scans(cell: Cell, objective: Objective) -> None:
    network, batch = make_network(cell, layers=2), make_batch(objective, ragged=True)
    found = fused(network, batch, objective)
    for scan in ("fast", "general"):
        exact = run(scan, network, batch, objective)
        torch.testing.assert_close(found.outputs, exact.outputs, rtol=1e-10, atol=1e-10)
        log2_norm = gradient_of(network, exact).log2_norm
        np.testing.assert_allclose(gradient_of(network, found).log2_norm, log2_norm, rtol=0, atol=1e-10)
        alive = torch.arange(6)[None, :, None] < batch.lengths[:, None]
        for layer, others in zip(found.gates(), exact.gates(), strict=True):
            for gate, other in zip(layer, others, strict=True):
                torch.testing.assert_close(gate[alive], other[alive], rtol=1e-10, atol=1e-10)
    same_tables(found, run("fast", network, batch, objective), network, batch.lengths)


@every_cell
def test_float32_follows_float64(cell: Cell) -> None:
    """Sums of 20 timesteps and 16 units, each product within half of 2^-23: a few hundred of those at most."""
    wide, batch = make_network(cell, hidden=16, layers=2), make_batch(LAST, T=20)
    found, exact = fused(*narrow(wide, batch), LAST), fused(wide, batch, LAST)
    assert not found.again
    for name, (value, exponent) in exact.gradients.items():
        true = torch.ldexp(value, exponent)
        ours = torch.ldexp(found.gradients[name].mantissa.double(), found.gradients[name].exponent)
        assert (ours - true).norm() < 3e-5 * true.norm()


# beyond the format


def vanishing(cell: Cell, dtype: torch.dtype) -> tuple[Network, Sequences]:
    """dL/dh_0 is some 1e-400: small recurrent weights, and a forget or update gate that keeps little."""
    network, batch = make_network(cell, layers=2), make_batch(LAST, T=300, B=4)
    keeps = {"lstm": 1, "gru": 1}.get(cell.name)
    for layer in range(2):
        network.parameters[f"layer{layer}.W_hh"] *= 0.05
        if keeps is not None:
            network.parameters[f"layer{layer}.b"][:, 5 * keeps : 5 * keeps + 5] -= 4
        elif cell == Rnn(nonlinearity="relu"):
            network.parameters[f"layer{layer}.b"] += 3
    return narrow(network, batch) if dtype == F32 else (network, batch)


def exploding(dtype: torch.dtype) -> tuple[Network, Sequences]:
    """dL/dh_0 is 1e+300 times dL/dh_299: a relu network at rest, whose recurrent weights are ten times the identity."""
    network, batch = make_network(Rnn(nonlinearity="relu"), hidden=2), make_batch(VALUE, T=300, B=4, inputs=3)
    for name, value in network.parameters.items():
        value[:] = torch.tensor([[-10.0, 10.0], [10.0, -10.0]]) if name.endswith("W_hh") else 1.0
    for name in ("layer0.W_ih", "layer0.b_hh"):
        network.parameters[name][:] = 0.0
    return narrow(network, batch) if dtype == F32 else (network, batch)


def relative_error(ours: Pass, theirs: Pass) -> dict[str, float]:
    """By parameter, of gradients of any size."""
    errors = {}
    for name, (mantissa, exponent) in theirs.gradients.items():
        value, power = ours.gradients[name]
        true = mantissa.double()
        errors[name] = float((torch.ldexp(value.double(), power - exponent) - true).norm() / true.norm())
    return errors


@pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
@every_cell
def test_where_a_gradient_vanishes_long_before_the_first_timestep_the_rest_is_right(
    cell: Cell, dtype: torch.dtype
) -> None:
    network, batch = vanishing(cell, dtype)
    found, exact = fused(network, batch, LAST), fast_pass(network, batch, LAST, Scratch(2))
    assert curves(network, found, batch.lengths)[0][0].columns["log10_norm"].min() < -300
    same_tables(found, fast_pass(network, batch, LAST, Scratch(2)), network, batch.lengths)
    assert not found.again
    assert max(relative_error(found, exact).values()) < (1e-4 if dtype == F32 else 1e-10)


@pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
def test_what_explodes_is_taken_again_and_clipped_as_on_the_exact_scan(dtype: torch.dtype) -> None:
    network, batch = exploding(dtype)
    found, exact = fused(network, batch, VALUE), fast_pass(network, batch, VALUE, Scratch(1))
    same_tables(found, exact, network, batch.lengths)
    assert curves(network, found, batch.lengths)[0][0].columns["log10_norm"].max() > 300
    assert found.again
    gradients = [gradient_of(network, one) for one in (found, exact)]
    assert gradients[0].log2_norm[0] == gradients[1].log2_norm[0] > 900
    rows = [ClipNorm.act([ClipNorm(threshold=0.5)], gradient)[0] for gradient in gradients]
    assert torch.equal(*rows)
    assert torch.linalg.vector_norm(rows[0].double()).item() == pytest.approx(0.5, rel=1e-6)


def gone_and_back(late: int, slope: int, T: int, dtype: torch.dtype) -> tuple[Network, Sequences]:
    """One tanh unit with a recurrent weight of 2^5. In the `late` timesteps at the end its slope is 2^-slope.

    Before them its state is 0, and what comes back through them, however small, grows by 2^5 at each timestep.
    """
    network = make_network(Rnn(), inputs=1, hidden=1, layers=1, outputs=1)
    for name, value in network.parameters.items():
        value[:] = {"layer0.W_ih": 1.0, "layer0.W_hh": 32.0, "readout.W": 1.0}.get(name, 0.0)
    a = math.log(2) * (slope + 2) / 2  # where 1 - tanh^2 is 4 exp(-2 a)
    x = torch.zeros(1, T, 1, 1, dtype=F64)
    x[:, -late:], x[:, -late] = a - 32 * math.tanh(a), a
    batch = Sequences(x, torch.full((1, 1, 1), 3.0, dtype=F64), torch.full((1, 1), T))
    return narrow(network, batch) if dtype == F32 else (network, batch)


@pytest.mark.parametrize(
    ("late", "slope", "T", "dtype"), [(30, 12, 110, F32), (75, 25, 450, F64)], ids=["float32", "float64"]
)
def test_what_grows_again_from_below_the_format_is_taken_again(
    late: int, slope: int, T: int, dtype: torch.dtype
) -> None:
    """The gradients that the layers give look healthy: they are those of the last timesteps alone."""
    network, batch = gone_and_back(late, slope, T, dtype)
    found, exact = fused(network, batch, VALUE), fast_pass(network, batch, VALUE, Scratch(1))
    (curve,) = curves(network, exact, batch.lengths)[0]
    lowest, first = curve.columns["log10_norm"].min(), curve.columns["log10_norm"][0]
    assert lowest < math.log10(torch.finfo(dtype).tiny)
    assert first > 20
    assert found.again
    assert relative_error(found, exact)["layer0.b"] == 0
    # So it is when the last timesteps are few: then nothing is lost, and nothing taken again.
    assert not fused(*gone_and_back(3, slope, 20, dtype), VALUE).again


@pytest.mark.parametrize("dead", [False, True], ids=["one timestep", "a dead layer"])
def test_a_gradient_of_zero_is_asked_of_the_exact_scan(dead: bool) -> None:
    """It may be exact, as that of W_hh where there is but one timestep, or all that is left of a small one."""
    network, batch = make_network(Rnn(nonlinearity="relu"), layers=2), make_batch(LAST, T=6 if dead else 1)
    if dead:
        network.parameters["layer1.b"][:] = -1e3
    found = fused(network, batch, LAST)
    assert found.again
    assert not found.gradients["layer1.W_hh"].mantissa.any()
    agree(found, network, batch, LAST)


def test_a_sequence_that_learns_nothing_costs_nothing_again() -> None:
    """Outputs that are their targets: a gradient of exactly zero needs no exponent."""
    network, batch = make_network(Rnn(), outputs=1), make_batch(VALUE, outputs=1)
    network.parameters["readout.W"][:] = 0.0
    batch.y[:] = network.parameters["readout.b"]
    found = fused(network, batch, VALUE)
    assert not found.again
    assert not any(value.any() for value, _ in found.gradients.values())
    assert np.isneginf(curves(network, found, batch.lengths)[0][0].columns["log10_norm"]).all()


@pytest.mark.parametrize("value", [math.nan, math.inf])
@every_cell
def test_what_is_not_finite_is_read_as_on_the_exact_scan(cell: Cell, value: float) -> None:
    network, batch = make_network(cell, layers=2), make_batch(LAST)
    network.parameters["layer0.W_hh"][0, 1, 2] = value
    found = fused(network, batch, LAST)
    assert found.again
    same_tables(found, fast_pass(network, batch, LAST, Scratch(2)), network, batch.lengths)
    assert not gradient_of(network, found).log2_norm[0] < math.inf


# what a pass leaves alone


@every_cell
def test_torchs_random_state_and_the_weights_stay(cell: Cell) -> None:
    network, batch = make_network(cell, layers=2), make_batch(LAST)
    before = [torch.get_rng_state(), *(value.clone() for value in network.parameters.values())]
    fused(network, batch, LAST).gates()
    after = [torch.get_rng_state(), *network.parameters.values()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert not any(value.requires_grad for value in network.parameters.values())


def test_a_pass_follows_the_weights() -> None:
    """The layers hold copies, taken anew at each pass."""
    network, batch = make_network(Rnn()), make_batch(LAST)
    layers = FusedLayers(network)
    first = fused_pass(network, batch, LAST, layers)
    network.parameters["layer0.W_hh"] *= 0.5
    second = fused_pass(network, batch, LAST, layers)
    assert not torch.equal(first.losses, second.losses)
    agree(second, network, batch, LAST)


def test_sequences_of_other_lengths_are_noticed() -> None:
    network, layers = make_network(Rnn()), FusedLayers(make_network(Rnn()))
    for ragged, T in ((False, 6), (True, 6), (False, 8), (True, 8)):
        batch = make_batch(LAST, T=T, ragged=ragged)
        agree(fused_pass(network, batch, LAST, layers), network, batch, LAST)
