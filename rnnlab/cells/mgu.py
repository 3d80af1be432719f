"""The minimal gated unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from rnnlab.cells.base import Cell, State

if TYPE_CHECKING:
    from torch import Tensor

    from rnnlab.scan.recurrent import Recurrent


class Mgu(Cell):
    """Minimal gated unit, h_t = (1 - u) * h_{t-1} + u * n with n = tanh(a_n + (u * h_{t-1}) W_hn).

    u = sigmoid of its half of x_t W_ih + b + h_{t-1} W_hh. The one gate resets and updates. The paper calls it the
    forget gate; since the old state goes where it is large, it is no forget gate to the initializers.

    >>> import torch
    >>> from rnnlab.scan.layer import Layer
    >>> from rnnlab.scan.recurrent import Recurrent
    >>> cell, W = Mgu(), torch.zeros(1, 2, 2)
    >>> layer = Layer(torch.zeros(1, 1, 4), {"W_hh": W, "W_hn": W}, torch.zeros(1, 4), None)
    >>> a = torch.tensor([[[-20.0, 20.0, 20.0, 20.0]]])  # u, n of two units
    >>> (h,), gates = cell.step(a, (torch.full((1, 1, 2), 0.5),), Recurrent(layer, cell.recurrent, cell.gates))
    >>> h  # the first unit keeps its 0.5, the second takes n
    tensor([[[0.5000, 1.0000]]])
    """

    source: ClassVar[str] = "Zhou et al., Minimal gated unit for recurrent neural networks, 2016, arXiv:1603.09420"
    gates: ClassVar[tuple[str, ...]] = ("u", "n")

    name: Literal["mgu"] = "mgu"

    @property
    def recurrent(self) -> Mapping[str, tuple[str, ...]]:
        return {"W_hh": ("u",), "W_hn": ("n",)}

    def step(self, gx: Tensor, state: State, parameters: Recurrent) -> tuple[State, State]:
        (h_prev,) = state
        xu, xn = gx.chunk(2, -1)
        u = (xu + parameters.product(h_prev, "W_hh")).sigmoid()
        n = (xn + parameters.product(u * h_prev, "W_hn")).tanh()
        return ((1 - u) * h_prev + u * n,), (u, n)

    def nonlinearities(self) -> tuple[str, ...]:
        return ("sigmoid", "tanh")
