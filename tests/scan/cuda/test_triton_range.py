"""The range of the scan in Triton, in float32: where the number format ended long ago, every figure is right."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from mp_oracle import log10_norms, truth
from oracles import cell_name, make_batch, make_network
from scans import run
from triton_devices import TRITON_CELLS, in_float32, on_devices, rounded

pytest.importorskip("triton", reason="the scan in Triton needs it: the extra cuda")

from rnnlab.cells import CELLS, Cell, Rnn
from rnnlab.gradients.passes import Pass, Sequences
from rnnlab.gradients.readings import curves
from rnnlab.logspace import log10_of_squares, log10_total
from rnnlab.network.objective import Objective

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
LAST = Objective("class", "last", per_timestep=False)
VALUE = Objective("value", "last", per_timestep=False)


def absolute(found: Pass, layer: int = 0, state: str = "h", replica: int = 0) -> np.ndarray:
    """log10 of the total gradient by t."""
    readings = found.readings[layer]
    samples = log10_of_squares(readings.squares[state].cpu().numpy(), readings.exponents.cpu().numpy())
    total = np.asarray(log10_total(samples)[replica])
    assert np.isfinite(total).all()
    return total


@on_devices
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_four_hundred_timesteps_at_the_default_follow_the_definition(cell: str, device: str) -> None:
    """torch's default weights, H 16: far below the end of float32, to 2e-5 of the definition in float64."""
    network, batch = rounded(make_network(CELLS[cell](), hidden=16, init="torch"), make_batch(LAST, T=400, B=3))
    exact = run("fast", network, batch, LAST)
    found = run("triton", *in_float32(network, batch, device), LAST)
    assert not any(gate.isnan().any() for gate in found.gates()[0])
    for name, gradient in exact.gradients.items():
        ours, theirs = found.gradients[name].plain().cpu().double(), gradient.plain()
        assert ((ours - theirs).norm() / theirs.norm()).item() < 2e-5, name
    for state in network.cell.states:
        assert absolute(exact, 0, state).min() < -40
        np.testing.assert_allclose(absolute(found, 0, state), absolute(exact, 0, state), rtol=0, atol=1e-4)


@on_devices
@pytest.mark.parametrize("cell", [Rnn(nonlinearity="linear")], ids=cell_name)
@pytest.mark.parametrize("rho", [2.0**-60, 2.0**60], ids=["vanishing", "exploding"])
def test_a_linear_recurrence_is_rho_to_the_lag_however_far(cell: Cell, rho: float, device: str) -> None:
    """1e-300 and 1e+300, and further: rho^59 is 1e-1065 and 1e+1065, eighteen decades a timestep."""
    T = 60
    network = make_network(cell, inputs=1, hidden=2, outputs=1)
    for name, value in network.parameters.items():
        value[:] = torch.eye(2) * rho if name.endswith("W_hh") else float("readout.W" in name)
    batch = Sequences(torch.zeros(1, T, 1, 1), torch.ones(1, 1, 1), torch.full((1, 1), T))
    for value in network.parameters.values():
        value[:] = 0 if value.dim() == 2 else value  # biases: the states stay zero, whatever rho
    total = absolute(run("triton", *in_float32(network, batch, device), VALUE))
    expected = (T - 1 - np.arange(T)) * math.log10(rho)
    assert abs(expected[0]) > 1000
    np.testing.assert_allclose(total - total[-1], expected, rtol=0, atol=1e-4)


@on_devices
@pytest.mark.parametrize("cell", TRITON_CELLS, ids=cell_name)
def test_every_cell_reads_what_thirty_digits_say_of_a_vanishing_gradient(cell: Cell, device: str) -> None:
    """Two layers, small recurrent weights; what a gated cell would keep of its old state it forgets."""
    T, H = 56, 4
    network = make_network(cell, hidden=H, layers=2)
    for layer in range(2):
        if cell.name == "lru":  # |lambda| = exp(-exp(nu))
            network.parameters[f"layer{layer}.nu_log"].fill_(2.6)
            continue
        network.parameters[f"layer{layer}.W_hh"] *= 2e-6
        b = network.parameters[f"layer{layer}.b"]
        if cell.name in ("lstm", "gru"):
            b[..., H : 2 * H] -= 14
        else:
            b += 3.0 if "relu" in cell_name(cell) else 0.0  # or all units are off at once
    network, batch = rounded(network, make_batch(LAST, T=T, B=2, seed=1))
    exact = truth(network, batch, LAST)
    found = run("triton", *in_float32(network, batch, device), LAST)
    for layer in range(2):
        for state in cell.states:
            readings = found.readings[layer]
            ours = log10_of_squares(readings.squares[state].cpu().numpy(), readings.exponents.cpu().numpy())[0]
            theirs = np.asarray(exact.norms[layer, state], dtype=float)
            assert theirs.min() < -300
            assert np.isfinite(ours).all()
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-3, err_msg=f"{layer} {state}")
    for name, value in exact.gradients.items():
        size = found.gradients[name].log2_norm().item() * math.log10(2)
        assert size == pytest.approx(log10_norms(value.reshape(1, -1))[0], abs=1e-4), name


@on_devices
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_states_beyond_the_format_are_not_finite_and_nothing_else_is(cell: str, device: str) -> None:
    """A row whose input is NaN says so; the rows beside it in the same program are as they were."""
    network, batch = in_float32(make_network(CELLS[cell]()), make_batch(LAST, B=3), device)
    clean = run("triton", network, batch, LAST)
    batch.x[0, 2, 1] = torch.nan
    found = run("triton", network, batch, LAST)
    squares, before = (result.readings[0].squares["h"][0] for result in (found, clean))
    assert squares[:2, 1].isnan().all()
    assert torch.equal(squares[:, ::2], before[:, ::2])
    assert found.gradients["layer0.W_hh"].plain().isnan().any()


@on_devices
def test_what_is_read_at_every_timestep_is_written_down(device: str) -> None:
    """From a pass to the rows of gradients.csv: nothing masked, each column as the general scan has it."""
    network, batch = rounded(make_network(CELLS["lstm"](), R=2), make_batch(LAST, R=2, T=12, ragged=True))
    for value in (network.parameters["layer0.W_hh"],):
        value *= 0.02
    on_device, moved = in_float32(network, batch, device)
    ours = curves(on_device, run("triton", on_device, moved, LAST), moved.lengths)
    theirs = curves(network, run("general", network, batch, LAST), batch.lengths)
    for mine, exact in zip(itertools.chain(*ours), itertools.chain(*theirs), strict=True):
        for column, values in exact.columns.items():
            assert not np.ma.getmaskarray(mine.columns[column]).any()
            if column != "norm":
                np.testing.assert_allclose(np.asarray(mine.columns[column]), np.asarray(values), rtol=0, atol=1e-4)
