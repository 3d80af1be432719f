"""The gradients inside a call of a fused layer, from what the layer took and gave: the lab's scan, forward and back.

A fused layer gives its states at every timestep and takes the gradients that its user's loss has there: that is all
that the total gradient depends on. The layer itself is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn

from rnnlab.scan.scaled import Scaled
from rnnlab.watching.dropout import dropout_masks
from rnnlab.watching.layer_replay import Columns, LayerReplay, Passed
from rnnlab.watching.layers import FusedWeights, cell_of, directions_of, dtype_of, layer_of
from rnnlab.watching.sequences import Layout, add_scaled


@dataclass(frozen=True)
class Call:
    """One call of a fused module: what it took and gave, as it took and gave it.

    first: the initial states, h and perhaps c, or empty for zeros. weights: by layer, and in a layer by direction.
    random_state: of the CPU's generator before the call, where units were dropped between the layers.
    """

    module: nn.RNNBase
    layout: Layout
    x: Tensor
    first: tuple[Tensor, ...]
    output: Tensor
    weights: list[FusedWeights]
    random_state: Tensor | None = None


@dataclass(frozen=True)
class Replayed:
    """What a replay gives.

    columns: by layer, and in a layer by direction. W_hh likewise, each [G*H, H]. dx [T, B, I]; first: by state,
    [layers * directions, B, H]; output: the top layer's states [T, B, directions * H].
    """

    columns: list[Columns]
    W_hh: list[Scaled]
    dx: Scaled
    first: dict[str, Scaled]
    output: Tensor


class Replay:
    """Replays the calls of one module; it keeps its memory from one to the next."""

    def __init__(self, module: nn.RNNBase) -> None:
        self._cell, self._D, self._layers = cell_of(module), directions_of(module), module.num_layers
        self._parts = [LayerReplay(self._cell, bool(d)) for _, d in product(range(self._layers), range(self._D))]

    @torch.no_grad()
    def run(self, call: Call, arrived: dict[str, Tensor]) -> Replayed:
        """The gradients inside a call.

        arrived: those that a backward pass brought to what the call gave, in its layout: `output`, `h` and `c`; one
        that did not come is left out.
        """
        dtype = dtype_of(call.weights)
        masks = dropout_masks(call, self._layers, self._D * call.module.hidden_size, dtype)
        output = self._forward(call, masks, dtype)
        total = _as_scaled(call, arrived.get("output"), output)
        last: dict[str, Tensor] = {
            name: call.layout.states(arrived[name]).to("cpu").double() for name in ("h", "c") if name in arrived
        }
        return self._backward(total, last, masks, output)

    def _forward(self, call: Call, masks: list[Tensor], dtype: torch.dtype) -> Tensor:
        x = call.layout.time_major(call.x).to("cpu", dtype)
        lengths = call.layout.lengths(*x.shape[:2])
        first = [call.layout.states(state).to("cpu", dtype) for state in call.first]
        for layer in range(self._layers):
            states = []
            for index in self._indices(layer):
                initial = tuple(state[index] for state in first)
                weights = layer_of(self._cell, call.weights[index], dtype)
                states.append(self._parts[index].forward(weights, x, lengths, initial))
            x = torch.cat(states, -1)
            if masks and layer < self._layers - 1:
                x = x * masks[layer]
        return x

    def _backward(self, total: Scaled, last: dict[str, Tensor], masks: list[Tensor], output: Tensor) -> Replayed:
        direct, by_layer = total, list[Passed]()
        for layer in reversed(range(self._layers)):
            H = total.mantissa.shape[-1] // self._D
            passed = []
            for d, index in enumerate(self._indices(layer)):
                ends = {name: gradient[index] for name, gradient in last.items()}
                passed.append(self._parts[index].backward(_columns(total, d, H), _columns(direct, d, H), ends))
            total, direct = _sum([part.total for part in passed]), _sum([part.direct for part in passed])
            if masks and layer:
                total, direct = (Scaled(rows.mantissa * masks[layer - 1], rows.exponent) for rows in (total, direct))
            by_layer[:0] = passed
        first = {name: [part.first[name] for part in by_layer] for name in self._cell.states}
        stacked = {name: Scaled(*map(torch.stack, zip(*states, strict=True))) for name, states in first.items()}
        columns, W_hh = [part.columns for part in by_layer], [part.W_hh for part in by_layer]
        return Replayed(columns, W_hh, total, stacked, output)

    def _indices(self, layer: int) -> range:
        return range(layer * self._D, (layer + 1) * self._D)


def _columns(rows: Scaled, d: int, H: int) -> Scaled:
    """What belongs to one direction."""
    return Scaled(rows.mantissa[..., d * H : (d + 1) * H], rows.exponent)


def _sum(rows: list[Scaled]) -> Scaled:
    return rows[0] if len(rows) == 1 else add_scaled(*rows)


def _as_scaled(call: Call, gradient: Tensor | None, output: Tensor) -> Scaled:
    exponents = torch.zeros(output.shape[:2], dtype=torch.int64)
    if gradient is None:
        return Scaled(torch.zeros_like(output), exponents)
    return Scaled(call.layout.time_major(gradient).to("cpu").double(), exponents)
