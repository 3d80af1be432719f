"""The minimal gated recurrent unit without a recurrent product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from rnnlab.cells.base import Cell, State
from rnnlab.scan import pointwise
from rnnlab.scan.rule import Rule

if TYPE_CHECKING:
    from torch import Tensor

    from rnnlab.scan.recurrent import Recurrent


class MinGru(Cell):
    """Minimal gated recurrent unit, h_t = (1 - u) * h_{t-1} + u * n with n and u functions of x_t alone.

    u = sigmoid of its half of x_t W_ih + b, and n is the other half as it is (the paper's section 3.1). So
    dh_t/dh_{t-1} is diagonal, 1 - u_t, and known before the recurrence begins. There is no W_hh and no b_hh. The paper
    calls u z; it is no update gate to the initializers, whose z keeps the past.

    >>> import torch
    >>> from rnnlab.scan.layer import Layer
    >>> from rnnlab.scan.recurrent import Recurrent
    >>> cell, layer = MinGru(), Layer(torch.zeros(1, 1, 4), {}, torch.zeros(1, 4), None)
    >>> a = torch.tensor([[[-20.0, 20.0, 3.0, 3.0]]])  # u, n of two units
    >>> (h,), gates = cell.step(a, (torch.full((1, 1, 2), 0.5),), Recurrent(layer, {}, cell.gates))
    >>> h  # the first unit keeps its 0.5, the second takes n
    tensor([[[0.5000, 3.0000]]])
    """

    source: ClassVar[str] = "Feng et al., Were RNNs all we needed?, 2024, arXiv:2410.01201"
    gates: ClassVar[tuple[str, ...]] = ("u", "n")
    recurrent_init: ClassVar[str | None] = "zeros"

    name: Literal["mingru"] = "mingru"

    @property
    def recurrent(self) -> Mapping[str, tuple[str, ...]]:
        return {}

    def step(self, gx: Tensor, state: State, parameters: Recurrent) -> tuple[State, State]:
        (h_prev,) = state
        xu, n = gx.chunk(2, -1)
        u = xu.sigmoid()
        # sigmoid(-a), since 1 - u is rounded to nothing where u is nearly 1.
        return ((-xu).sigmoid() * h_prev + u * n,), (u, n)

    def rule(self) -> Rule:
        return Rule(forward, backward, gates=2, width=3, product=False)

    def nonlinearities(self) -> tuple[str, ...]:
        return ("sigmoid", "linear")


def forward(gx, gh, h_prev, c_prev, h, c, saved, unit):  # type: ignore[no-untyped-def]
    H = h.shape[0]
    u, n, keep = saved[:H], saved[H : 2 * H], saved[2 * H :]
    pointwise.copy(gh[:H], u)
    pointwise.copy(gh[H:], n)
    for j in range(H):
        keep[j] = -u[j]
    pointwise.sigmoid(u)
    pointwise.sigmoid(keep)
    for j in range(H):
        h[j] = keep[j] * h_prev[j] + u[j] * n[j]


def backward(dh, dc, saved, h_prev, c_prev, unit, dgx, dgh, dh_prev, dc_prev):  # type: ignore[no-untyped-def]
    H = dh.shape[0]
    u, n, keep = saved[:H], saved[H : 2 * H], saved[2 * H :]
    du, dn = dgx[:H], dgx[H:]
    for j in range(H):
        du[j] = dh[j] * (n[j] - h_prev[j]) * u[j] * keep[j]
    for j in range(H):
        dn[j] = dh[j] * u[j]
    for j in range(H):
        dh_prev[j] = dh[j] * keep[j]
