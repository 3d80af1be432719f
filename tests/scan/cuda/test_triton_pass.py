"""A pass on the scan in Triton is the plain loop over time in float64, to float32's last places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from oracles import cell_name, loop, make_batch, make_network
from scans import run
from triton_devices import TRITON_CELLS, in_float32, on_devices, rounded

pytest.importorskip("triton", reason="the scan in Triton needs it: the extra cuda")

from rnnlab.cells import CELLS, Cell
from rnnlab.gradients.pass_base import Pass
from rnnlab.gradients.passes import Sequences
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective
from rnnlab.scan.cuda import triton_scan
from rnnlab.scan.cuda.limits import Blocks

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
every_cell = pytest.mark.parametrize("cell", TRITON_CELLS, ids=cell_name)
LAST = Objective("class", "last", per_timestep=False)
TOLERANCE = 2e-5
BOUND = 0.004


def agree(found: Pass, network: Network, batch: Sequences, objective: Objective) -> None:
    """Loss, every parameter gradient and every row norm of every adjoint equal the slow loop's."""
    for replica in range(network.replicas):
        answer = loop(network, batch, objective, replica)
        torch.testing.assert_close(found.losses[replica].cpu(), answer.loss, rtol=TOLERANCE, atol=TOLERANCE)
        for name, gradient in answer.gradients.items():
            ours = found.gradients[name].plain()[replica].cpu().double()
            size = gradient.abs().max().item()
            torch.testing.assert_close(ours, gradient, rtol=TOLERANCE, atol=TOLERANCE * size)
        for (layer, state), adjoint in answer.adjoints.items():
            readings = found.readings[layer]
            norms = torch.ldexp(readings.squares[state].sqrt(), readings.exponents)[replica].cpu()
            torch.testing.assert_close(norms, adjoint.norm(dim=-1), rtol=TOLERANCE, atol=0)


@on_devices
@pytest.mark.parametrize(
    ("R", "T", "B", "hidden", "layers", "placement", "ragged"),
    [(2, 6, 3, 5, 2, "all", True), (1, 7, 20, 50, 1, "last", False), (1, 1, 1, 1, 1, "last", False)],
    ids=["ragged", "large", "least"],
)
@every_cell
def test_equals_the_loop(
    cell: Cell, R: int, T: int, B: int, hidden: int, layers: int, placement: str, ragged: bool, device: str
) -> None:
    """Sizes that are no powers of two, more rows than a program has, several layers, ragged lengths."""
    objective = Objective("value", placement, per_timestep=placement == "all")
    network, batch = rounded(
        make_network(cell, R=R, hidden=hidden, layers=layers), make_batch(objective, R=R, T=T, B=B, ragged=ragged)
    )
    agree(run("triton", *in_float32(network, batch, device), objective), network, batch, objective)


@on_devices
@pytest.mark.parametrize("ragged", [False, True], ids=["even", "ragged"])
@every_cell
def test_a_timestep_a_kernel_gives_the_same(
    cell: Cell, ragged: bool, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of layers whose weights do not fit into a program, here with small ones."""
    monkeypatch.setattr(triton_scan, "blocks_of", lambda gates, hidden: Blocks(False, 4, 16, 4))
    objective = Objective("value", "last", per_timestep=False)
    network, batch = rounded(make_network(cell, R=2, layers=2), make_batch(objective, R=2, T=5, B=6, ragged=ragged))
    agree(run("triton", *in_float32(network, batch, device), objective), network, batch, objective)


@on_devices
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_states_gates_and_figures_are_those_of_the_general_scan(cell: str, device: str) -> None:
    """With the adjoint clip: also the pre-activations before and after it, the share clamped, the direct parts."""
    objective = Objective("value", "all", per_timestep=True)
    network, batch = rounded(
        make_network(CELLS[cell](), R=2, layers=2), make_batch(objective, R=2, T=7, B=4, ragged=True)
    )
    on_device, moved = in_float32(network, batch, device)
    found, exact = run("triton", on_device, moved, objective, BOUND), run("general", network, batch, objective, BOUND)
    alive = (torch.arange(7)[:, None] < batch.lengths[:, None])[..., None]
    for of_layer, exactly in zip(found.gates(), exact.gates(), strict=True):
        for a, b in zip(of_layer, exactly, strict=True):
            torch.testing.assert_close(a.cpu().double().where(alive, 0), b.where(alive, 0), rtol=0, atol=1e-6)
    assert found.clamped is not None
    assert exact.clamped is not None
    assert 0.02 < exact.clamped.min() < exact.clamped.max() < 0.9
    torch.testing.assert_close(found.clamped.cpu(), exact.clamped)
    for name, gradient in exact.gradients.items():
        ours, size = found.gradients[name].plain().cpu().double(), gradient.plain().abs().max().item()
        torch.testing.assert_close(ours, gradient.plain(), rtol=TOLERANCE, atol=TOLERANCE * size)
    tables = zip(found.norm_tables(on_device, moved.lengths), exact.norm_tables(network, batch.lengths), strict=True)
    for (layer, state, mine), (*place, columns) in tables:
        assert [layer, state] == place
        for column, values in columns.items():
            np.testing.assert_allclose(mine[column], values, rtol=1e-5, atol=2e-5, err_msg=f"{layer} {state} {column}")


@on_devices
def test_twice_the_same_is_the_same_to_the_last_bit(device: str) -> None:
    network, batch = in_float32(make_network(CELLS["lstm"](), R=3), make_batch(LAST, R=3, B=20), device)
    first, second = (run("triton", network, batch, LAST) for _ in range(2))
    for name in first.gradients:
        assert torch.equal(first.gradients[name].mantissa, second.gradients[name].mantissa)
    assert torch.equal(first.readings[0].squares["h"], second.readings[0].squares["h"])


@on_devices
def test_a_replica_is_the_same_alone_and_in_a_fleet(device: str) -> None:
    """What a program reads is its own replica's."""
    network, batch = in_float32(make_network(CELLS["gru"](), R=3), make_batch(LAST, R=3), device)
    whole = run("triton", network, batch, LAST)
    alone = Network(network.cell, network.shape, {name: value[1:2] for name, value in network.parameters.items()})
    of_it = run("triton", alone, Sequences(batch.x[1:2], batch.y[1:2], batch.lengths[1:2]), LAST)
    for name in whole.gradients:
        ours, theirs = (result.gradients[name].plain() for result in (whole, of_it))
        torch.testing.assert_close(ours[1:2], theirs, rtol=1e-6, atol=1e-9)
