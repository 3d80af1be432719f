"""The config's `model.init`: presets against the libraries' own layers, what may go where, and resolved configs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from draws import GRU, LSTM, RNN, made, of_torch, rng, same_distribution
from pydantic import ValidationError
from torch import nn

from rnnlab.inits import BIASES, INITS, PRESETS, WEIGHTS, Array, Inits

TORCH_LAYERS: dict[tuple[str, ...], Callable[[int, int], nn.Module]] = {RNN: nn.RNN, LSTM: nn.LSTM, GRU: nn.GRU}


def resolved(value: Any) -> Inits:
    return Inits.model_validate(value)


def as_drawn(weight: Any) -> Array:
    """A Keras variable's values; its own numpy() leans on what NumPy 2 deprecates."""
    return np.asarray(weight.value.detach().cpu().numpy(), dtype=np.float64)


# Presets against the layers themselves.


@pytest.mark.parametrize("gates", TORCH_LAYERS)
def test_the_torch_preset_starts_as_torchs_layers_do(gates: tuple[str, ...]) -> None:
    inits, inputs, hidden = resolved("torch"), 30, 400
    layer = of_torch(lambda: TORCH_LAYERS[gates](inputs, hidden))
    ours = {
        "weight_ih_l0": inits.input.draw(inputs, hidden, gates, rng(11)),
        "weight_hh_l0": inits.recurrent.draw(hidden, hidden, gates, rng(12)),
        "bias_ih_l0": inits.bias.draw_bias(hidden, gates, rng(13), fan_in=inputs),
        "bias_hh_l0": inits.recurrent_bias.draw_bias(hidden, gates, rng(14), fan_in=hidden),
    }
    theirs = {name: parameter.detach().numpy() for name, parameter in layer.named_parameters()}
    assert ours.keys() == theirs.keys()
    assert all(same_distribution(ours[name], theirs[name]) for name in ours)
    assert all(0.98 / 20 < np.abs(drawn).max() <= 1 / 20 for drawn in ours.values())


def test_the_torch_preset_reads_out_as_linear_does() -> None:
    inits = resolved("torch")
    weight, bias = inits.readout.draw(64, 700, RNN, rng(15)), inits.readout_bias.draw_bias(700, RNN, rng(16), fan_in=64)
    linear = of_torch(lambda: nn.Linear(64, 700))
    assert same_distribution(weight, linear.weight.detach())
    assert same_distribution(bias, linear.bias.detach())
    assert 0.98 / 8 < np.abs(bias).max() <= 1 / 8


@pytest.fixture
def keras(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library: Any = pytest.importorskip("keras", reason="keras is not installed")
    library.utils.set_random_seed(17)
    return library


@pytest.mark.parametrize(("layer", "gates"), [("SimpleRNN", RNN), ("LSTM", LSTM), ("GRU", GRU)])
def test_the_keras_preset_starts_as_kerass_layers_do(keras: Any, layer: str, gates: tuple[str, ...]) -> None:
    inits, inputs, hidden = resolved("keras"), 200, 100
    theirs = getattr(keras.layers, layer)(hidden)
    theirs.build((None, None, inputs))
    kernel, recurrent, bias = (as_drawn(w) for w in theirs.weights)
    width = len(gates) * hidden

    drawn = inits.input.draw(inputs, hidden, gates, rng(18))
    bound = math.sqrt(6 / (inputs + width))
    assert same_distribution(drawn, kernel)
    assert max(np.abs(drawn).max(), np.abs(kernel).max()) <= bound * (1 + 1e-6)
    assert min(np.abs(drawn).max(), np.abs(kernel).max()) > bound * 0.999

    own = inits.recurrent.draw(hidden, hidden, gates, rng(19))
    assert np.allclose(np.linalg.svd(recurrent, compute_uv=False), 1, atol=1e-5)
    assert np.allclose(np.linalg.svd(own, compute_uv=False), 1, atol=1e-12)
    assert same_distribution(own, recurrent)

    # Keras orders an LSTM's gates i f c o, as torch does; its GRU stacks the input and the recurrent bias.
    both = np.stack([inits.bias.draw_bias(hidden, gates, rng()), inits.recurrent_bias.draw_bias(hidden, gates, rng())])
    assert np.array_equal(both if bias.ndim == 2 else both[0], bias)
    assert not both[1].any()


def test_the_keras_preset_reads_out_as_dense_does(keras: Any) -> None:
    inits, dense = resolved("keras"), keras.layers.Dense(200)
    dense.build((None, 300))
    kernel, bias = (as_drawn(w) for w in dense.weights)
    drawn = inits.readout.draw(300, 200, RNN, rng(20))
    assert same_distribution(drawn, kernel)
    assert np.abs(drawn).max() == pytest.approx(np.abs(kernel).max(), rel=1e-3)
    assert np.array_equal(inits.readout_bias.draw_bias(200, RNN, rng(), fan_in=300), bias)


# The config's model.init.


def test_defaults() -> None:
    names = {key: part["name"] for key, part in Inits().model_dump().items()}
    assert names == {
        "input": "xavier_uniform",
        "recurrent": "orthogonal",
        "bias": "zeros",
        "recurrent_bias": "zeros",
        "readout": "xavier_uniform",
        "readout_bias": "zeros",
    }


@pytest.mark.parametrize(
    "given",
    [
        {},
        *PRESETS,
        {"preset": "keras"},
        {"recurrent": "identity", "bias": {"name": "chrono", "t_max": 50}},
        {"preset": "torch", "recurrent": {"name": "sparse", "spectral_radius": 0.95}, "bias": "zeros"},
    ],
)
def test_resolved_inits_repeat_themselves(given: Any) -> None:
    inits = resolved(given)
    written = inits.model_dump(mode="json")
    assert "preset" not in written
    assert resolved(written) == inits
    assert resolved(inits) == inits


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_covers_every_place_and_its_name_alone_is_enough(preset: str) -> None:
    assert set(PRESETS[preset]) == {*WEIGHTS, *BIASES}
    assert resolved(preset) == resolved({"preset": preset}) == resolved(PRESETS[preset])


def test_an_explicit_part_wins_over_the_preset() -> None:
    inits = resolved({"recurrent": {"name": "orthogonal", "gain": 2}, "preset": "keras"}).model_dump()
    assert inits["recurrent"] == {"name": "orthogonal", "gain": 2, "over": "gate", "spectral_radius": None}
    assert {**inits, "recurrent": 0} == {**resolved("keras").model_dump(), "recurrent": 0}


def test_a_part_without_a_name_changes_options_of_what_was_there() -> None:
    keras = resolved({"preset": "keras", "recurrent": {"gain": 2}}).recurrent.model_dump()
    plain = resolved({"recurrent": {"gain": 2}}).recurrent.model_dump()
    assert (keras["name"], keras["gain"], keras["over"]) == ("orthogonal", 2, "stacked")
    assert (plain["name"], plain["gain"], plain["over"]) == ("orthogonal", 2, "gate")


def test_reading_a_config_changes_neither_it_nor_the_preset() -> None:
    given, presets = {"preset": "keras", "recurrent": {"gain": 2}}, {**PRESETS["keras"]}
    resolved(given)
    assert given == {"preset": "keras", "recurrent": {"gain": 2}}
    assert PRESETS["keras"] == presets


@pytest.mark.parametrize("place", [*WEIGHTS, *BIASES])
@pytest.mark.parametrize("name", INITS)
def test_an_init_goes_where_it_says_and_nowhere_else(name: str, place: str) -> None:
    part = made(name)
    if place in part.places:
        assert getattr(resolved({place: part}), place) == part
        assert getattr(resolved({place: part.model_dump()}), place) == part
    else:
        with pytest.raises(ValidationError, match=f"'{name}' cannot draw {place}; it is for {part.places[0]}"):
            resolved({place: name})


@pytest.mark.parametrize("place", sorted({*WEIGHTS, *BIASES} - {"recurrent"}))
def test_only_the_recurrent_weight_takes_a_radius(place: str) -> None:
    assert resolved({"recurrent": {"name": "normal", "spectral_radius": 0.9}}).recurrent
    with pytest.raises(ValidationError, match=f"spectral_radius is for the recurrent weight.*not for {place}"):
        resolved({place: {"name": "normal", "spectral_radius": 0.9}})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("kears", "preset\n.*'torch' or 'keras'"),
        ({"preset": ["torch"]}, "preset\n.*'torch' or 'keras'"),
        (3, "valid dictionary"),
        ({"recurent": "zeros"}, "recurent\n.*Extra inputs are not permitted"),
        ({"recurrent": "orthogonl"}, "'orthogonl' found using 'name' does not match"),
        ({"recurrent": None}, "valid dictionary"),
        ({"recurrent": {"name": "zeros", "spectral_radius": 0.9}}, "spectral_radius\n.*Extra inputs are not permitted"),
        ({"recurrent": {"spectral_radius": 0}}, "greater than 0"),
        ({"recurrent": {"gain": float("inf")}}, "finite number"),
        ({"bias": "chrono"}, "t_max\n.*Field required"),
        ({"bias": {"name": "chrono", "t_max": 2}}, "greater than or equal to 3"),
        ({"input": {"name": "uniform", "bound": -1}}, "greater than 0"),
        ({"input": {"name": "sparse", "non_zeros": 0}}, "greater than or equal to 1"),
    ],
)
def test_a_bad_config_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        resolved(given)


def test_the_schema_offers_the_presets_by_name() -> None:
    by_name, mapping = Inits.model_json_schema()["anyOf"]
    assert by_name["enum"] == list(PRESETS)
    assert {"preset", *WEIGHTS, *BIASES} == set(mapping["properties"])
