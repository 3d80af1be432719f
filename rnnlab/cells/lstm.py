"""Long short-term memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from rnnlab.cells.base import Cell, State
from rnnlab.scan import pointwise
from rnnlab.scan.rule import Rule

if TYPE_CHECKING:
    from torch import Tensor


class Lstm(Cell):
    """Long short-term memory, c_t = f * c_{t-1} + i * g and h_t = o * tanh(c_t).

    i, f, o = sigmoid and g = tanh of their quarter of x_t W_ih + b + h_{t-1} W_hh; the gates lie in torch's order
    i, f, g, o. Equal to torch.nn.LSTM with b = b_ih + b_hh.

    >>> import torch
    >>> a = torch.tensor([0.0, 0.0, -20.0, 20.0, 20.0, 20.0, 0.0, 0.0])  # i, f, g, o of two units
    >>> state = torch.zeros(2), torch.ones(2)
    >>> (h, c), gates = Lstm().definition(a, torch.zeros(8), state)
    >>> c  # the first unit forgets its 1, the second keeps it
    tensor([0.5000, 1.5000])
    """

    source: ClassVar[str] = (
        "Hochreiter and Schmidhuber, Long short-term memory, 1997, doi:10.1162/neco.1997.9.8.1735; "
        "forget gate: Gers, Schmidhuber and Cummins, Learning to forget, 2000, doi:10.1162/089976600300015015"
    )
    gates: ClassVar[tuple[str, ...]] = ("i", "f", "g", "o")
    states: ClassVar[tuple[str, ...]] = ("h", "c")
    forget_gate: ClassVar[str | None] = "f"

    name: Literal["lstm"] = "lstm"

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        _, c_prev = state
        i, f, g, o = (gx + gh).chunk(4, -1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c_prev + i * g
        return (o * c.tanh(), c), (i, f, g, o)

    def rule(self) -> Rule:
        return Rule(forward, backward, gates=4, width=4, second=True, name="lstm")

    def nonlinearities(self) -> tuple[str, ...]:
        return ("sigmoid", "sigmoid", "tanh", "sigmoid")


def forward(gx, gh, h_prev, c_prev, h, c, saved, unit):  # type: ignore[no-untyped-def]
    H = h.shape[0]
    pointwise.add(gx, gh, saved)
    i, f, g, o = saved[:H], saved[H : 2 * H], saved[2 * H : 3 * H], saved[3 * H :]
    pointwise.sigmoid(saved[: 2 * H])
    pointwise.tanh(g)
    pointwise.sigmoid(o)
    for j in range(H):
        c[j] = f[j] * c_prev[j] + i[j] * g[j]
    pointwise.copy(c, h)
    pointwise.tanh(h)
    for j in range(H):
        h[j] = o[j] * h[j]


def backward(dh, dc, saved, h_prev, c_prev, unit, dgx, dgh, dh_prev, dc_prev):  # type: ignore[no-untyped-def]
    H = dh.shape[0]
    i, f, g, o = saved[:H], saved[H : 2 * H], saved[2 * H : 3 * H], saved[3 * H :]
    # tanh(c) is computed anew: to keep it would cost more time, in memory traffic, than it takes.
    tanh_c = dh_prev
    for j in range(H):
        tanh_c[j] = f[j] * c_prev[j] + i[j] * g[j]
    pointwise.tanh(tanh_c)
    di, df, dg, do = dgx[:H], dgx[H : 2 * H], dgx[2 * H : 3 * H], dgx[3 * H :]
    # Short loops over few rows each: LLVM gives up vectorizing when it must compare too many pointers.
    for j in range(H):
        dc[j] += dh[j] * o[j] * (unit - tanh_c[j] * tanh_c[j])
    for j in range(H):
        do[j] = dh[j] * tanh_c[j] * o[j] * (unit - o[j])
    for j in range(H):
        di[j] = dc[j] * g[j] * i[j] * (unit - i[j])
    for j in range(H):
        df[j] = dc[j] * c_prev[j] * f[j] * (unit - f[j])
    for j in range(H):
        dg[j] = dc[j] * i[j] * (unit - g[j] * g[j])
    for j in range(H):
        dc_prev[j] = dc[j] * f[j]
    for j in range(H):
        dh_prev[j] = unit - unit
