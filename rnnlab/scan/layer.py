"""The parameters of one layer."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Layer:
    """The parameters of one layer: W_ih [R, I, G*H], W_hh [R, H, G*H], b [R, G*H], and b_hh [R, G*H] or None."""

    W_ih: Tensor
    W_hh: Tensor
    b: Tensor
    b_hh: Tensor | None
