"""The network: what a seed draws, how replicas are stacked, and what the read-out is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from oracles import inits_of
from torch import nn

from rnnlab.cells import CELLS, Lstm
from rnnlab.inits import PRESETS, Inits
from rnnlab.network.network import Network, Shape, draw
from rnnlab.tasks import TASKS
from rnnlab.tasks.base import generator

SIZES = Shape(inputs=3, hidden=5, layers=2, outputs=4, recurrent_bias=True)
Drawn = dict[str, Any]

every_cell = pytest.mark.parametrize("name", CELLS)


def drawn(
    name: str = "lstm", seed: int = 0, inits: Inits | None = None, forget_bias: float | None = None, **sizes: Any
) -> Drawn:
    shape = Shape(**{**SIZES.__dict__, **sizes})
    return draw(CELLS[name](), shape, inits or inits_of(CELLS[name]()), seed, forget_bias)


def same(one: Drawn, other: Drawn) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


# what a seed draws


@pytest.mark.parametrize("init", [*PRESETS, None])
@pytest.mark.parametrize("recurrent_bias", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@every_cell
def test_every_parameter_has_its_shape(name: str, layers: int, recurrent_bias: bool, init: str | None) -> None:
    inits = inits_of(CELLS[name](), init or {})
    parameters = drawn(name, inits=inits, layers=layers, recurrent_bias=recurrent_bias)
    width = 5 * len(CELLS[name].gates)
    recurrent = {key: (5, 5 * len(gates)) for key, gates in CELLS[name]().recurrent.items()}
    if name == "lru":
        recurrent = dict.fromkeys(("nu_log", "theta_log", "gamma_log"), (1, 3))  # two complex units and a real one
    expected = {}
    for index in range(layers):
        sizes = {"W_ih": (5 if index else 3, width), **recurrent, "b": (width,), "b_hh": (width,)}
        expected |= {f"layer{index}.{key}": size for key, size in sizes.items() if key != "b_hh" or recurrent_bias}
    expected |= {"readout.W": (5, 4), "readout.b": (4,)}
    assert {key: value.shape for key, value in parameters.items()} == expected
    assert all(value.dtype == np.float64 and np.isfinite(value).all() for value in parameters.values())


@every_cell
def test_a_seed_draws_one_network(name: str) -> None:
    assert same(drawn(name, seed=7), drawn(name, seed=7))
    assert not any(np.array_equal(drawn(name, seed=7)[key], value) for key, value in drawn(name, seed=8).items())


@every_cell
def test_no_two_parameters_are_drawn_alike(name: str) -> None:
    values = np.concatenate([value.ravel() for value in drawn(name).values()])
    assert len(np.unique(values)) == len(values)


def test_a_draw_reads_and_leaves_no_random_state_but_its_own() -> None:
    with torch.random.fork_rng():
        before = (torch.get_rng_state(), np.random.get_state()[1].copy(), np.random.get_state()[2])
        first = drawn()
        after = (torch.get_rng_state(), np.random.get_state()[1], np.random.get_state()[2])
        assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
        torch.manual_seed(123)
        assert same(drawn(), first)


def test_weights_do_not_hang_on_the_data() -> None:
    """Drawing data under the same seed, in any amount, before or between, leaves the weights what they are."""
    first = drawn(seed=3)
    stream = TASKS["addition"]().stream(3, "float64").batches(2)
    for _ in range(3):
        next(stream)
        assert same(drawn(seed=3), first)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_weights_come_from_another_stream_than_the_data(split: Any) -> None:
    """Not one number in common with what the same seed gives the data, or a bare generator of that seed."""
    inits = Inits.model_validate({"input": {"name": "normal", "std": 1.0}})
    weights = drawn("rnn", seed=5, inits=inits, hidden=50)["layer0.W_ih"].ravel()
    for other in (generator(5, split), np.random.default_rng(5)):
        assert not np.isin(weights, other.normal(size=10 * weights.size)).any()


@every_cell
def test_a_layer_on_top_leaves_the_first_as_it_was(name: str) -> None:
    one, three = drawn(name, layers=1), drawn(name, layers=3)
    assert all(np.array_equal(value, three[key]) for key, value in one.items() if key.startswith("layer0"))


# the forget bias


@pytest.mark.parametrize("forget_bias", [0.0, 1.0, -2.5])
@pytest.mark.parametrize("init", [*PRESETS])
@every_cell
def test_the_forget_bias_lands_on_the_forget_gate_and_nowhere_else(name: str, init: str, forget_bias: float) -> None:
    cell, inits = CELLS[name], inits_of(CELLS[name](), init)
    without, with_it = drawn(name, inits=inits), drawn(name, inits=inits, forget_bias=forget_bias)
    for key, value in with_it.items():
        layer, _, part = key.partition(".")
        gates = cell().recurrent.get(part, cell.gates)
        for gate, ours, before in zip(gates, *_by_gate(gates, layer, value, without[key]), strict=True):
            if part == "b" and layer != "readout" and gate == cell.forget_gate:
                assert (ours == forget_bias).all()
            else:
                assert np.array_equal(ours, before)


def _by_gate(gates: tuple[str, ...], layer: str, *values: Any) -> list[list[Any]]:
    if layer == "readout":
        return [[value] * len(gates) for value in values]
    return [np.split(value, len(gates), axis=-1) for value in values]


def test_only_the_lstm_has_a_forget_gate() -> None:
    assert {name: cell.forget_gate for name, cell in CELLS.items() if cell.forget_gate} == {"lstm": "f"}
    assert Lstm.gates.index("f") == 1  # torch's order


def test_kerass_unit_forget_bias_is_the_forget_bias_of_one() -> None:
    inits = Inits.model_validate("keras")
    assert same(drawn(inits=inits), drawn(inits=inits, forget_bias=1.0))


# the stack


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_cell
def test_replicas_are_stacked_in_the_order_given(name: str, dtype: torch.dtype) -> None:
    replicas = [drawn(name, seed=seed) for seed in (4, 2, 9)]
    network = Network.stack(CELLS[name](), SIZES, replicas, dtype)
    assert network.replicas == 3
    assert list(network.parameters) == list(replicas[0])
    for r, one in enumerate(replicas):
        for key, value in one.items():
            stacked = network.parameters[key]
            assert stacked.dtype == dtype
            assert torch.equal(stacked[r], torch.from_numpy(value).to(dtype))


@pytest.mark.parametrize("R", [1, 3])
@every_cell
def test_the_parameters_are_views_of_one_row_a_replica(name: str, R: int) -> None:
    """In their order and without gaps, so that what an optimizer does to the rows it does to the network."""
    network = Network.stack(CELLS[name](), SIZES, [drawn(name, seed=seed) for seed in range(R)])
    assert network.flat is not None
    assert network.flat.shape[1] % 32 == 0
    whole = torch.cat([tensor.flatten(1) for tensor in network.parameters.values()], 1)
    assert torch.equal(network.flat[:, : network.count()], whole)
    assert (network.flat[:, network.count() :] == 0).all()
    network.flat.copy_(torch.arange(network.flat.numel()).view_as(network.flat))
    ordered = torch.cat([tensor.flatten(1) for tensor in network.parameters.values()], 1)
    assert torch.equal(ordered, network.flat[:, : network.count()])
    assert all(tensor[r].is_contiguous() for tensor in network.parameters.values() for r in range(R))


@pytest.mark.parametrize("name", [name for name, cell in CELLS.items() if not cell.parametrised])
def test_a_layer_holds_its_own_parameters(name: str) -> None:
    network = Network.stack(CELLS[name](), SIZES, [drawn(name)])
    for index, layer in enumerate(network.layers):
        for key in ("W_ih", "b", "b_hh"):
            assert getattr(layer, key) is network.parameters[f"layer{index}.{key}"]
        assert list(layer.recurrent) == list(CELLS[name]().recurrent)
        assert all(value is network.parameters[f"layer{index}.{key}"] for key, value in layer.recurrent.items())
    assert len(list(network.layers)) == SIZES.layers


def test_without_a_recurrent_bias_there_is_none() -> None:
    shape = Shape(3, 5, 1, 4, recurrent_bias=False)
    network = Network.stack(Lstm(), shape, [drawn(layers=1, recurrent_bias=False)])
    assert network.layer(0).b_hh is None


@pytest.mark.parametrize("recurrent_bias", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("R", [1, 4])
@every_cell
def test_the_count_is_that_of_one_replica(name: str, R: int, layers: int, recurrent_bias: bool) -> None:
    shape = Shape(3, 5, layers, 4, recurrent_bias)
    replicas = [drawn(name, seed, layers=layers, recurrent_bias=recurrent_bias) for seed in range(R)]
    network = Network.stack(CELLS[name](), shape, replicas)
    assert network.count() == sum(value.size for value in replicas[0].values())
    G, I, H, O = len(CELLS[name].gates), 3, 5, 4
    biases = 2 if recurrent_bias else 1
    recurrent = {"lru": 3 * 3, "mingru": 0, "cornn": 2 * H * H}.get(name, G * H * H)
    of_layers = G * H * (I + biases + (layers - 1) * (H + biases)) + layers * recurrent
    assert network.count() == of_layers + (H + 1) * O


@pytest.mark.parametrize("R", [1, 3])
def test_the_read_out_is_a_linear_layer_of_each_replica(R: int) -> None:
    network = Network.stack(Lstm(), SIZES, [drawn(seed=seed) for seed in range(R)], torch.float64)
    states = torch.randn(R, 6, 2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    outputs = network.read_out(states)
    assert outputs.shape == (R, 6, 2, 4)
    for r in range(R):
        W, b = network.parameters["readout.W"][r], network.parameters["readout.b"][r]
        torch.testing.assert_close(outputs[r], nn.functional.linear(states[r], W.T, b), rtol=1e-13, atol=1e-13)
