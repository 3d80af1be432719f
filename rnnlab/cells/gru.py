"""The gated recurrent unit, in torch's form and in that of the paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from rnnlab.cells.base import Cell, State
from rnnlab.scan import pointwise
from rnnlab.scan.rule import Rule

if TYPE_CHECKING:
    from torch import Tensor

    from rnnlab.scan.recurrent import Recurrent


class Gru(Cell):
    """Gated recurrent unit, h_t = (1 - z) * n + z * h_{t-1} with n = tanh(a_n + r * (h_{t-1} W_hn + b_hn)).

    r and z = sigmoid of their third of x_t W_ih + b + h_{t-1} W_hh + b_hh. The reset gate acts after the recurrent
    product, as in torch.nn.GRU and Keras (reset_after), so that b_hh counts and is always a parameter.

    With `reset: before` it acts before the product, as in the paper: n = tanh(a_n + (r * h_{t-1}) W_hn). W_hh then has
    the blocks of r and z alone.

    >>> import torch
    >>> a = torch.tensor([0.0, 0.0, -20.0, 20.0, 20.0, 20.0])  # r, z, n of two units
    >>> (h,), gates = Gru().definition(a, torch.zeros(6), (torch.full((2,), 0.5),))
    >>> h  # the first unit takes n, the second keeps its 0.5
    tensor([1.0000, 0.5000])
    """

    source: ClassVar[str] = (
        "Cho et al., Learning phrase representations using RNN encoder-decoder, 2014, arXiv:1406.1078"
    )
    gates: ClassVar[tuple[str, ...]] = ("r", "z", "n")

    name: Literal["gru"] = "gru"
    reset: Literal["after", "before"] = Field(
        default="after",
        description="The reset gate acts after the recurrent product (torch, Keras) or before it (the paper).",
    )

    @property
    def needs_recurrent_bias(self) -> bool:
        return self.reset == "after"

    @property
    def owns_step(self) -> bool:
        return self.reset == "before"

    @property
    def recurrent(self) -> Mapping[str, tuple[str, ...]]:
        return {"W_hh": ("r", "z"), "W_hn": ("n",)} if self.owns_step else {"W_hh": self.gates}

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        (h_prev,) = state
        (xr, xz, xn), (hr, hz, hn) = gx.chunk(3, -1), gh.chunk(3, -1)
        r, z = (xr + hr).sigmoid(), (xz + hz).sigmoid()
        n = (xn + r * hn).tanh()
        return ((1 - z) * n + z * h_prev,), (r, z, n)

    def step(self, gx: Tensor, state: State, parameters: Recurrent) -> tuple[State, State]:
        (h_prev,) = state
        H = h_prev.shape[-1]
        r, z = (gx[..., : 2 * H] + parameters.product(h_prev, "W_hh")).sigmoid().chunk(2, -1)
        n = (gx[..., 2 * H :] + parameters.product(r * h_prev, "W_hn")).tanh()
        return ((1 - z) * n + z * h_prev,), (r, z, n)

    def rule(self) -> Rule | None:
        if self.owns_step:
            return None
        return Rule(forward, backward, gates=3, width=4, own_dgh=True, name="gru")

    def nonlinearities(self) -> tuple[str, ...]:
        return ("sigmoid", "sigmoid", "tanh")


def forward(gx, gh, h_prev, c_prev, h, c, saved, unit):  # type: ignore[no-untyped-def]
    H = h.shape[0]
    rz, r, z, n = saved[: 2 * H], saved[:H], saved[H : 2 * H], saved[2 * H : 3 * H]
    hn, xn = saved[3 * H :], gx[2 * H :]
    pointwise.add(gx[: 2 * H], gh[: 2 * H], rz)
    pointwise.sigmoid(rz)
    pointwise.copy(gh[2 * H :], hn)
    for j in range(H):
        n[j] = xn[j] + r[j] * hn[j]
    pointwise.tanh(n)
    for j in range(H):
        h[j] = n[j] + z[j] * (h_prev[j] - n[j])


def backward(dh, dc, saved, h_prev, c_prev, unit, dgx, dgh, dh_prev, dc_prev):  # type: ignore[no-untyped-def]
    H = dh.shape[0]
    r, z, n, hn = saved[:H], saved[H : 2 * H], saved[2 * H : 3 * H], saved[3 * H :]
    dr, dz, dn = dgx[:H], dgx[H : 2 * H], dgx[2 * H :]
    for j in range(H):
        dn[j] = dh[j] * (unit - z[j]) * (unit - n[j] * n[j])
    for j in range(H):
        dz[j] = dh[j] * (h_prev[j] - n[j]) * z[j] * (unit - z[j])
    for j in range(H):
        dr[j] = dn[j] * hn[j] * r[j] * (unit - r[j])
    pointwise.copy(dgx[: 2 * H], dgh[: 2 * H])
    dhn = dgh[2 * H :]
    for j in range(H):
        dhn[j] = dn[j] * r[j]
    for j in range(H):
        dh_prev[j] = dh[j] * z[j]
