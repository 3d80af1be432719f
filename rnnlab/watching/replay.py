"""The gradients inside a call of a fused layer, from what the layer took and gave: the lab's scan, forward and back.

A fused layer gives its states at every timestep and takes the gradients that its user's loss has there: that is all
that the total gradient depends on. The layer itself is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn

from rnnlab.scan.scaled import Scaled, add
from rnnlab.watching.dropout import dropout_masks
from rnnlab.watching.layer_replay import Columns, LayerReplay, Passed, Rows
from rnnlab.watching.layers import FusedWeights, cell_of, directions_of, dtype_of, layer_of
from rnnlab.watching.sequences import Layout


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

    columns: by layer, and in a layer by direction. W_hh likewise, each [G*H, H]. dx [T, B, I], where it was asked for;
    first: by state, [layers * directions, B, H]; output: the top layer's states [T, B, directions * H]. dx and output
    may be memory of the replay, good until its next one.
    """

    columns: list[Columns]
    W_hh: list[Scaled]
    dx: Scaled | None
    first: dict[str, Scaled]
    output: Tensor


class Replay:
    """Replays the calls of one module; it keeps its memory from one to the next."""

    def __init__(self, module: nn.RNNBase) -> None:
        self._cell, self._D, self._layers = cell_of(module), directions_of(module), module.num_layers
        self._parts = [LayerReplay(self._cell, bool(d)) for _, d in product(range(self._layers), range(self._D))]

    @torch.no_grad()
    def run(self, call: Call, arrived: dict[str, Tensor], *, wants_dx: bool = False) -> Replayed:
        """The gradients inside a call.

        arrived: those that a backward pass brought to what the call gave, in its layout: `output`, `h` and `c`; one
        that did not come is left out.
        """
        dtype = dtype_of(call.weights)
        masks = dropout_masks(call, self._layers, self._D * call.module.hidden_size, dtype)
        output = self._forward(call, masks, dtype)
        last: dict[str, Tensor] = {
            name: call.layout.states(arrived[name]).to("cpu").double() for name in ("h", "c") if name in arrived
        }
        top = self._top(call, arrived.get("output"), output, bool(last))
        return self._backward(top, last, masks, output, wants_dx)

    def _top(self, call: Call, gradient: Tensor | None, output: Tensor, ends: bool) -> Rows:
        """What reaches the top layer, at the timesteps that anything reaches, and with `ends` at the last ones."""
        T, B = output.shape[:2]
        rows = torch.zeros_like(output) if gradient is None else call.layout.time_major(gradient).to("cpu")
        if rows.dtype not in (torch.float32, torch.float64):
            rows = rows.double()
        reached = (rows.flatten(1) if gradient is not None else rows[:, 0]).any(1)
        if ends:
            reached[call.layout.lengths(T, B) - 1] = True
            reached[0] = reached[0] | (self._D > 1)
        times = reached.nonzero()[:, 0]
        rows = rows if len(times) == T else rows[times]
        return Rows(Scaled(rows, torch.zeros(rows.shape[:2], dtype=torch.int64)), times)

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
            x = states[0] if len(states) == 1 else torch.cat(states, -1)
            if masks and layer < self._layers - 1:
                x = x * masks[layer]
        return x

    def _backward(
        self, top: Rows, last: dict[str, Tensor], masks: list[Tensor], output: Tensor, wants_dx: bool
    ) -> Replayed:
        total, direct, by_layer = top, top, list[Passed]()
        for layer in reversed(range(self._layers)):
            passed = []
            for d, index in enumerate(self._indices(layer)):
                ends = {name: gradient[index] for name, gradient in last.items()}
                of_total = self._columns(total, d)
                of_direct = of_total if direct is total else self._columns(direct, d)
                passed.append(self._parts[index].backward(of_total, of_direct, ends, wants_dx=wants_dx or layer > 0))
            by_layer[:0] = passed
            if layer or wants_dx:
                mask = masks[layer - 1] if masks and layer else None
                total = _below([part.total for part in passed], mask)
                direct = _below([part.direct for part in passed], mask)
        first = {name: [part.first[name] for part in by_layer] for name in self._cell.states}
        stacked = {name: Scaled(*map(torch.stack, zip(*states, strict=True))) for name, states in first.items()}
        columns, W_hh = [part.columns for part in by_layer], [part.W_hh for part in by_layer]
        return Replayed(columns, W_hh, total.scaled if wants_dx else None, stacked, output)

    def _columns(self, rows: Rows, d: int) -> Rows:
        """What belongs to one direction."""
        (mantissa, exponent), times = rows
        H = mantissa.shape[-1] // self._D
        return Rows(Scaled(mantissa[..., d * H : (d + 1) * H], exponent), times)

    def _indices(self, layer: int) -> range:
        return range(layer * self._D, (layer + 1) * self._D)


def _below(directions: list[Rows | None], mask: Tensor | None) -> Rows:
    """What the directions of a layer pass on together, where a unit was dropped nothing."""
    rows = [part for part in directions if part is not None]
    (mantissa, exponent), times = rows[0]
    if len(rows) > 1:
        mantissa, exponent = add(*(part.scaled.to(torch.float64) for part in rows))
    return Rows(Scaled(mantissa if mask is None else mantissa * mask[times], exponent), times)
