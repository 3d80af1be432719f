"""The network: input -> layers of one cell -> linear read-out, for R replicas at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.cells import Cell
from rnnlab.inits import Inits
from rnnlab.network.flat import Layout
from rnnlab.scan.layer import Layer
from rnnlab.scan.scaled import Scaled, add

_PURPOSE = 0x77656967
"""Marks the stream that initial weights are drawn from, apart from the streams of the data."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a network: inputs I, hidden H, layers, outputs O, and whether each layer has a recurrent bias."""

    inputs: int
    hidden: int
    layers: int
    outputs: int
    recurrent_bias: bool


class Network:
    """R networks of one shape with their parameters stacked on a leading axis.

    h^0_t = x_t,  h^l_t = cell(h^{l-1}_t, state^l_{t-1}),  output_t = h^L_t W_out + b_out.
    flat [R, P]: where the network was made by `stack`, what the parameters are views of, a replica a row.

    >>> from rnnlab.cells import Lstm
    >>> shape = Shape(inputs=2, hidden=3, layers=1, outputs=1, recurrent_bias=False)
    >>> network = Network.stack(Lstm(), shape, [draw(Lstm(), shape, Inits(), seed) for seed in (0, 1)])
    >>> network.replicas, network.count(), network.layer(0).W_hh.shape
    (2, 76, torch.Size([2, 3, 12]))
    """

    def __init__(self, cell: Cell, shape: Shape, parameters: Mapping[str, Tensor], flat: Tensor | None = None) -> None:
        self.cell, self.shape = cell, shape
        self.parameters = dict(parameters)
        self.flat = flat
        self.layout = Layout({name: tensor.shape[1:] for name, tensor in parameters.items()})

    @classmethod
    def stack(
        cls,
        cell: Cell,
        shape: Shape,
        replicas: Sequence[Mapping[str, np.ndarray[Any, Any]]],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Network:
        """The network whose replicas have these parameters (as `draw` gives them)."""
        layout = Layout({name: value.shape for name, value in replicas[0].items()})
        flat = torch.zeros(len(replicas), layout.width, dtype=dtype, device=device)
        parameters = layout.views(flat)
        for name, tensor in parameters.items():
            tensor.copy_(torch.from_numpy(np.stack([replica[name] for replica in replicas])))
        return cls(cell, shape, parameters, flat)

    def replica(self, r: int) -> dict[str, Tensor]:
        """The parameters of one replica, as views."""
        return {name: tensor[r] for name, tensor in self.parameters.items()}

    @property
    def replicas(self) -> int:
        return self.parameters["readout.b"].shape[0]

    def layer(self, index: int) -> Layer:
        """What the scans multiply by and add in a layer, 0 being the one next to the input."""
        weights = self.cell.weights(self._parameters(index))
        recurrent = {name: weights[name] for name in self.cell.recurrent}
        return Layer(weights["W_ih"], recurrent, weights["b"], weights.get("b_hh"))

    def parameter_gradients(self, index: int, of_weights: Mapping[str, Scaled]) -> dict[str, Scaled]:
        """The gradients of a layer's parameters, by their full names, from those of what the scans multiply by."""
        own = self._parameters(index)
        if not self.cell.parametrised:
            return {f"layer{index}.{name}": of_weights[name] for name in own}
        with torch.enable_grad():
            leaves = {name: value.detach().requires_grad_() for name, value in own.items()}
            weights = self.cell.weights(leaves)
        sums: dict[str, Scaled] = {}
        for name, weight in weights.items():
            mantissa, exponent = of_weights[name]
            parts = torch.autograd.grad(
                weight, [*leaves.values()], mantissa, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            for leaf, part in zip(leaves, parts, strict=True):
                row = Scaled(part.flatten(1), exponent)
                sums[leaf] = add(sums[leaf], row) if leaf in sums else row
        return {
            f"layer{index}.{name}": Scaled(total.mantissa.view(own[name].shape), total.exponent)
            for name, total in sums.items()
        }

    def _parameters(self, index: int) -> dict[str, Tensor]:
        at = f"layer{index}."
        return {name.removeprefix(at): value for name, value in self.parameters.items() if name.startswith(at)}

    @property
    def layers(self) -> Iterator[Layer]:
        return (self.layer(index) for index in range(self.shape.layers))

    def read_out(self, states: Tensor) -> Tensor:
        """Outputs [R, S, B, O] of states [R, S, B, H], in the dtype of the states."""
        W, b = (self.parameters[name].to(states.dtype) for name in ("readout.W", "readout.b"))
        flat = torch.baddbmm(b[:, None], states.flatten(1, 2), W)
        return flat.view(*states.shape[:3], -1)

    @cached_property
    def edges(self) -> NDArray[np.int64]:
        """The first column of each layer in a row of parameters, that of the read-out, and the one after its last."""
        names = [*(f"layer{index}.W_ih" for index in range(self.shape.layers)), "readout.W"]
        return np.array([*(self.layout.starts[name] for name in names), self.layout.count])

    @cached_property
    def starts(self) -> list[NDArray[np.int64]]:
        """By layer: the first columns of W_ih, W_hh, b and b_hh in a row of parameters; -1 for none."""
        names = ("W_ih", "W_hh", "b", "b_hh")
        starts = self.layout.starts
        return [np.array([starts.get(f"layer{k}.{name}", -1) for name in names]) for k in range(self.shape.layers)]

    def count(self) -> int:
        """The number of parameters of one replica."""
        return sum(tensor[0].numel() for tensor in self.parameters.values())


def draw(cell: Cell, shape: Shape, inits: Inits, seed: int, forget_bias: float | None = None) -> dict[str, Any]:
    """The initial parameters of one replica, in float64, from a stream of its seed that nothing else reads."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_PURPOSE,)))
    H, gates = shape.hidden, cell.gates
    parameters = {}
    for index in range(shape.layers):
        fan_in, at = (H if index else shape.inputs), f"layer{index}."
        parameters[at + "W_ih"] = inits.input.draw(fan_in, H, gates, rng)
        for name, value in cell.draw_recurrent(H, inits.recurrent, rng).items():
            parameters[at + name] = value
        parameters[at + "b"] = inits.bias.draw_bias(H, gates, rng, fan_in=fan_in)
        if shape.recurrent_bias:
            parameters[at + "b_hh"] = inits.recurrent_bias.draw_bias(H, gates, rng, fan_in=H)
        if forget_bias is not None and cell.forget_gate is not None:
            forget = gates.index(cell.forget_gate)
            parameters[at + "b"][forget * H : (forget + 1) * H] = forget_bias
    parameters["readout.W"] = inits.readout.draw(H, shape.outputs, ("y",), rng)
    parameters["readout.b"] = inits.readout_bias.draw_bias(shape.outputs, ("y",), rng, fan_in=H)
    return parameters
