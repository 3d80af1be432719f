"""The parameters of torch's fused recurrent layers as the scan takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rnnlab.cells import Cell
from rnnlab.cells.fused_modes import FUSED_MODES
from rnnlab.scan.layer import Layer


class FusedWeights(NamedTuple):
    """What torch calls weight_ih [G*H, I], weight_hh [G*H, H], bias_ih and bias_hh [G*H] of a layer and a direction."""

    ih: Tensor
    hh: Tensor
    b_ih: Tensor | None
    b_hh: Tensor | None


def cell_of(module: nn.RNNBase) -> Cell:
    """The cell that a fused module runs."""
    return FUSED_MODES[module.mode]


def weights_of(module: nn.RNNBase) -> list[FusedWeights]:
    """By layer, and in a layer by direction: the tensors that the next call of the module computes with."""
    weights = []
    for index in range(module.num_layers * directions_of(module)):
        layer, reverse = divmod(index, directions_of(module))
        suffix = f"l{layer}" + ("_reverse" if reverse else "")
        names = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if module.bias else ()))
        tensors = [getattr(module, f"{name}_{suffix}") for name in names]
        weights.append(FusedWeights(*tensors, *[None] * (4 - len(tensors))))
    return weights


def directions_of(module: nn.RNNBase) -> int:
    """1, or 2 for a bidirectional module."""
    return 2 if module.bidirectional else 1


def layer_of(cell: Cell, weights: FusedWeights, dtype: torch.dtype) -> Layer:
    """The parameters of one layer and direction on the CPU, with a replica axis of one.

    Where a cell adds both biases to the same sum, b = b_ih + b_hh; the GRU's candidate keeps them apart.
    """
    W_ih, W_hh = (_on_cpu(weight, dtype).t().contiguous()[None] for weight in (weights.ih, weights.hh))
    zero = W_hh.new_zeros(1, W_hh.shape[2])
    b_ih, b_hh = (zero if b is None else _on_cpu(b, dtype)[None] for b in (weights.b_ih, weights.b_hh))
    recurrent = {"W_hh": W_hh}
    if cell.needs_recurrent_bias:
        return Layer(W_ih, recurrent, b_ih, b_hh)
    return Layer(W_ih, recurrent, b_ih + b_hh, None)


def dtype_of(weights: Sequence[FusedWeights]) -> torch.dtype:
    """The number format of the scan: float64 for float64 weights, and float32 for all others."""
    return torch.float64 if weights[0].hh.dtype == torch.float64 else torch.float32


def _on_cpu(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.detach().to("cpu", dtype)
