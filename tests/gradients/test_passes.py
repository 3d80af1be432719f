"""Fast pass = general pass = a plain loop under autograd = torch's own layers, in float64 to 1e-10."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import F64, FAST_CELLS, cell_name, make_batch, make_network, torch_layer
from outside_parts import Leaky
from scans import FUSED_CELLS, agree, cells_and_their_scans, norms, run
from torch import nn

from rnnlab.cells import CELLS, Cell
from rnnlab.gradients.passes import Scratch, Sequences, fast_forward, general_forward
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective
from rnnlab.scan.scaled import Scaled

PLACEMENTS = ["last", "all", 2, -2]


@pytest.mark.parametrize("ragged", [False, True], ids=["even", "ragged"])
@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("R", [1, 4])
@pytest.mark.parametrize("layers", [1, 3])
@cells_and_their_scans
def test_equals_the_loop(cell: Cell, layers: int, R: int, placement: str | int, ragged: bool, scan: str) -> None:
    objective = Objective("class", placement, per_timestep=False)
    network = make_network(cell, R=R, layers=layers)
    batch = make_batch(objective, R=R, ragged=ragged)
    agree(run(scan, network, batch, objective), network, batch, objective)


def test_a_cell_from_outside_with_a_definition_alone_equals_the_loop() -> None:
    objective = Objective("class", "all", per_timestep=False)
    network, batch = make_network(Leaky(), R=2, layers=2), make_batch(objective, R=2, ragged=True)
    agree(run("general", network, batch, objective), network, batch, objective)


@settings(max_examples=25, deadline=None)
@given(
    cell=st.sampled_from(FAST_CELLS),
    R=st.integers(1, 5),
    T=st.integers(3, 17),
    B=st.integers(1, 9),
    hidden=st.integers(1, 19),
    inputs=st.integers(1, 7),
    layers=st.integers(1, 3),
    outputs=st.integers(1, 4),
    kind=st.sampled_from(["class", "value"]),
    placement=st.sampled_from(PLACEMENTS),
    per_timestep=st.booleans(),
    ragged=st.booleans(),
    recurrent_bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_the_loop_at_any_shape(  # type: ignore[no-untyped-def]
    cell, R, T, B, hidden, inputs, layers, outputs, kind, placement, per_timestep, ragged, recurrent_bias, seed
) -> None:
    if ragged:
        T = max(T, 6)  # the shortest sequence still has the timesteps that are asked for
    objective = Objective(kind, placement, per_timestep)
    network = make_network(
        cell, R=R, inputs=inputs, hidden=hidden, layers=layers, outputs=outputs,
        recurrent_bias=recurrent_bias or cell.needs_recurrent_bias,
    )  # fmt: skip
    batch = make_batch(objective, R=R, T=T, B=B, inputs=inputs, outputs=outputs, ragged=ragged, seed=seed)
    agree(run("fast", network, batch, objective), network, batch, objective)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("R", [1, 2, 5])
def test_threads_change_nothing_but_the_last_bits(threads: int, R: int) -> None:
    objective = Objective("value", "all", per_timestep=False)
    network, batch = make_network(CELLS["lstm"](), R=R), make_batch(objective, R=R, B=7)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        agree(run("fast", network, batch, objective), network, batch, objective, tolerance=1e-12)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("scan", ["fast", "general"])
@pytest.mark.parametrize("ragged", [False, True], ids=["even", "ragged"])
@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("R", [1, 4])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", FUSED_CELLS, ids=cell_name)
def test_equals_torch(cell: Cell, layers: int, R: int, placement: str | int, ragged: bool, scan: str) -> None:
    """torch's own layer, on each sequence by itself; it has no sigmoid or linear RNN."""
    objective = Objective("value", placement, per_timestep=True)
    network = make_network(cell, R=R, layers=layers)
    batch = make_batch(objective, R=R, ragged=ragged)
    found = run(scan, network, batch, objective)
    close = {"rtol": 1e-10, "atol": 1e-10}
    for r in range(R):
        layer, readout = torch_layer(network, r), nn.Linear(network.shape.hidden, network.shape.outputs, dtype=F64)
        with torch.no_grad():
            readout.weight.copy_(network.parameters["readout.W"][r].T)
            readout.bias.copy_(network.parameters["readout.b"][r])
        outputs, targets = [], []
        for b, length in enumerate(batch.lengths[r].tolist()):
            states, _ = layer(batch.x[r, :length, b])
            at = {"last": [length - 1], "all": list(range(length))}.get(str(placement), [placement])
            outputs.append(readout(states[at]))
            targets.append(batch.y[r, :length, b][at])
            torch.testing.assert_close(found.outputs[r, : len(at), b], outputs[-1].detach(), **close)
        nn.functional.mse_loss(torch.cat(outputs), torch.cat(targets)).backward()
        for index in range(layers):
            for ours, theirs in (("W_ih", "weight_ih"), ("W_hh", "weight_hh"), ("b", "bias_ih"), ("b_hh", "bias_hh")):
                gradient = getattr(layer, f"{theirs}_l{index}").grad
                expected = gradient.T if gradient.dim() == 2 else gradient
                torch.testing.assert_close(found.gradients[f"layer{index}.{ours}"].plain()[r], expected, **close)


@pytest.mark.parametrize("cell", FAST_CELLS, ids=cell_name)
def test_float32_follows_float64(cell: Cell) -> None:
    objective = Objective("class", "last", per_timestep=False)
    wide, batch = make_network(cell, R=2, hidden=16, layers=2), make_batch(objective, R=2, T=20)
    narrow = Network(cell, wide.shape, {name: w.float() for name, w in wide.parameters.items()})
    short = run("fast", narrow, Sequences(batch.x.float(), batch.y, batch.lengths), objective)
    long = run("fast", wide, batch, objective)
    for name in long.gradients:
        scale = long.gradients[name].plain().abs().max().item()
        torch.testing.assert_close(
            short.gradients[name].plain().double(), long.gradients[name].plain(), rtol=1e-3, atol=2e-6 * scale
        )


@pytest.mark.parametrize("cell", FAST_CELLS, ids=cell_name)
def test_gradcheck(cell: Cell) -> None:
    """The gradients are those of the loss by finite differences, with no autograd on either side."""
    objective = Objective("value", "all", per_timestep=True)
    network, batch = make_network(cell, layers=2, hidden=3), make_batch(objective, T=4, B=2)

    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *parameters):  # type: ignore[no-untyped-def]
            one = Network(cell, network.shape, dict(zip(network.parameters, parameters, strict=True)))
            found = run("fast", one, batch, objective)
            ctx.gradients = [gradient.plain() for gradient in found.gradients.values()]
            return found.losses.sum()

        @staticmethod
        def backward(ctx, gradient):  # type: ignore[no-untyped-def]
            return tuple(gradient * one for one in ctx.gradients)

    assert torch.autograd.gradcheck(Loss.apply, [p.clone().requires_grad_() for p in network.parameters.values()])


@pytest.mark.parametrize("ragged", [False, True], ids=["even", "ragged"])
@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", FAST_CELLS, ids=cell_name)
def test_adjoint_clip_is_the_same_in_both_scans(cell: Cell, layers: int, placement: str | int, ragged: bool) -> None:
    objective, bound = Objective("class", placement, per_timestep=False), 2e-3
    network, batch = make_network(cell, R=2, layers=layers), make_batch(objective, R=2, T=8, ragged=ragged)
    fast, general = (run(scan, network, batch, objective, bound) for scan in ("fast", "general"))
    assert fast.clamped is not None
    assert general.clamped is not None
    assert 0 < fast.clamped.max() < 1
    torch.testing.assert_close(fast.clamped.double(), general.clamped.double(), rtol=0, atol=1e-12)
    for name in fast.gradients:
        torch.testing.assert_close(
            fast.gradients[name].plain(), general.gradients[name].plain(), rtol=1e-10, atol=1e-10
        )
    for layer in range(layers):
        assert set(fast.readings[layer].squares) == {*cell.states, "a", "a_clipped"}
        for state in fast.readings[layer].squares:
            torch.testing.assert_close(norms(fast, layer, state), norms(general, layer, state), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("cell", FAST_CELLS, ids=cell_name)
def test_adjoint_clip_bounds_what_travels_on(cell: Cell) -> None:
    objective, bound = Objective("class", "all", per_timestep=False), 1e-3
    network, batch = make_network(cell), make_batch(objective)
    found = run("fast", network, batch, objective, bound)
    entries = len(cell.gates) * network.shape.hidden
    assert norms(found, 0, "a_clipped").max() <= bound * math.sqrt(entries) * (1 + 1e-12)
    assert (norms(found, 0, "a_clipped") <= norms(found, 0, "a") * (1 + 1e-12)).all()


@pytest.mark.parametrize("cell", FAST_CELLS, ids=cell_name)
def test_padding_receives_exactly_nothing(cell: Cell) -> None:
    """What stands beyond a sequence's length changes neither a gradient nor a reading, to the last bit."""
    objective = Objective("class", "all", per_timestep=False)
    network, batch = make_network(cell, R=2, layers=2), make_batch(objective, R=2, T=9, ragged=True)
    clock = torch.arange(9)[None, :, None] >= batch.lengths[:, None]
    dirty = Sequences(batch.x.masked_fill(clock[..., None], 1e3), batch.y, batch.lengths)
    clean, other = (run("fast", network, one, objective) for one in (batch, dirty))
    for name in clean.gradients:
        assert torch.equal(clean.gradients[name].plain(), other.gradients[name].plain())
    for readings in other.readings:
        assert all((squares[clock] == 0).all() for squares in readings.squares.values())


@pytest.mark.parametrize("cell", FAST_CELLS, ids=cell_name)
def test_forward_alone_gives_the_same_states(cell: Cell) -> None:
    objective = Objective("class", "last", per_timestep=False)
    network, batch = make_network(cell, R=3, layers=2), make_batch(objective, R=3)
    top = fast_forward(network, batch, Scratch(2))[-1].hs[:, 1:]
    torch.testing.assert_close(top, general_forward(network, batch), rtol=1e-12, atol=1e-12)


def test_scaled_gradients_have_one_exponent_a_replica() -> None:
    objective = Objective("class", "last", per_timestep=False)
    found = run("fast", make_network(CELLS["rnn"](), R=3), make_batch(objective, R=3), objective)
    assert all(isinstance(one, Scaled) and one.exponent.shape == (3,) for one in found.gradients.values())
