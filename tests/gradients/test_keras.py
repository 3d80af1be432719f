"""The stacked Keras LSTM of configs/ is Keras's own: logits and gradients, given the same weights."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from oracles import make_batch

from rnnlab.cells import CELLS
from rnnlab.gradients.passes import Scratch, fast_pass, general_pass
from rnnlab.inits import Inits
from rnnlab.network.network import Network, Shape, draw
from rnnlab.network.objective import Objective

os.environ.setdefault("KERAS_BACKEND", "torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras = pytest.importorskip("keras", reason="keras is not installed (`make install` installs it)")

if keras.backend.backend() != "torch":
    pytest.skip(f"keras runs on {keras.backend.backend()}, not torch", allow_module_level=True)


def keras_model(cell: str, T: int, inputs: int, H: int, outputs: int) -> Any:
    """LSTM (or GRU) returning sequences, a second one, dense logits."""
    layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell]
    return keras.Sequential(
        [
            keras.Input((T, inputs)),
            layer(H, return_sequences=True),
            layer(H),
            keras.layers.Dense(outputs),
        ]
    )


def weights_in_keras_order(network: Network) -> list[torch.Tensor]:
    """kernel, recurrent kernel, bias of each layer; then the dense layer. Keras's GRU orders its gates z, r, n."""
    flat: list[torch.Tensor] = []
    for layer in network.layers:
        bias = layer.b[0] if layer.b_hh is None else torch.stack([layer.b[0], layer.b_hh[0]])
        weights = [layer.W_ih[0], layer.W_hh[0], bias]
        flat += [reorder(network, weight) for weight in weights]
    return [*flat, network.parameters["readout.W"][0], network.parameters["readout.b"][0]]


def reorder(network: Network, weight: torch.Tensor) -> torch.Tensor:
    if network.cell.name != "gru":
        return weight
    r, z, n = weight.chunk(3, -1)
    return torch.cat([z, r, n], -1)


@pytest.mark.parametrize("scan", ["fast", "general"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_logits_and_gradients_are_kerass(cell: str, scan: str) -> None:
    T, B, inputs, H, outputs = 28, 32, 28, 128, 10
    part = CELLS[cell]()
    shape = Shape(inputs, H, 2, outputs, recurrent_bias=cell == "gru")
    network = Network.stack(part, shape, [draw(part, shape, Inits.model_validate("keras"), 0)], torch.float32)
    objective = Objective("class", "last", per_timestep=False)
    batch = make_batch(objective, T=T, B=B, inputs=inputs, outputs=outputs, dtype=torch.float32)
    model = keras_model(cell, T, inputs, H, outputs)
    model.set_weights([weight.numpy() for weight in weights_in_keras_order(network)])

    x = batch.x[0].transpose(0, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logits = model(x, training=True)
    loss = torch.nn.functional.cross_entropy(logits, batch.y[0].to(logits.device))
    theirs = torch.autograd.grad(loss, [v.value for v in model.trainable_variables])

    fast = scan == "fast"
    found = fast_pass(network, batch, objective, Scratch(2)) if fast else general_pass(network, batch, objective)
    np.testing.assert_allclose(found.outputs[0, 0], logits.detach(), atol=1e-5)
    ours = Network(part, shape, {name: gradient.plain() for name, gradient in found.gradients.items()})
    for mine, other in zip(weights_in_keras_order(ours), theirs, strict=True):
        np.testing.assert_allclose(mine, other.reshape(mine.shape), atol=1e-5)
