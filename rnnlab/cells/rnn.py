"""The simple recurrent network."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from rnnlab.cells.base import Cell, State
from rnnlab.scan import pointwise
from rnnlab.scan.rule import Rule

if TYPE_CHECKING:
    from torch import Tensor


class Rnn(Cell):
    """Simple recurrent network, h_t = phi(x_t W_ih + b + h_{t-1} W_hh).

    phi is tanh, relu, sigmoid or linear; with relu and identity recurrent weights it is the IRNN of Le, Jaitly and
    Hinton (2015). Equal to torch.nn.RNN with b = b_ih + b_hh.

    >>> import torch
    >>> gx, gh = torch.tensor([1.0, -1.0]), torch.tensor([0.5, 0.5])  # two units
    >>> (h,), gates = Rnn(nonlinearity="relu").definition(gx, gh, (torch.zeros(2),))
    >>> h
    tensor([1.5000, 0.0000])
    """

    source: ClassVar[str] = "Elman, Finding structure in time, 1990, doi:10.1207/s15516709cog1402_1"
    gates: ClassVar[tuple[str, ...]] = ("h",)

    name: Literal["rnn"] = "rnn"
    nonlinearity: Literal["tanh", "relu", "sigmoid", "linear"] = Field("tanh", description="phi, applied elementwise.")

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        a = gx + gh
        h = a if self.nonlinearity == "linear" else getattr(a, self.nonlinearity)()
        return (h,), (h,)

    def rule(self) -> Rule:
        return RULES[self.nonlinearity]

    def nonlinearities(self) -> tuple[str, ...]:
        return (self.nonlinearity,)


def tanh_forward(gx, gh, h_prev, c_prev, h, c, saved, unit):  # type: ignore[no-untyped-def]
    pointwise.add(gx, gh, h)
    pointwise.tanh(h)
    pointwise.copy(h, saved)


def tanh_backward(dh, dc, saved, h_prev, c_prev, unit, dgx, dgh, dh_prev, dc_prev):  # type: ignore[no-untyped-def]
    for j in range(dh.shape[0]):
        dgx[j] = dh[j] * (unit - saved[j] * saved[j])
        dh_prev[j] = unit - unit


def relu_forward(gx, gh, h_prev, c_prev, h, c, saved, unit):  # type: ignore[no-untyped-def]
    zero = unit - unit
    for j in range(h.shape[0]):
        a = gx[j] + gh[j]
        h[j] = zero if a <= zero else a  # so that NaN stays NaN
    pointwise.copy(h, saved)


def relu_backward(dh, dc, saved, h_prev, c_prev, unit, dgx, dgh, dh_prev, dc_prev):  # type: ignore[no-untyped-def]
    zero = unit - unit
    for j in range(dh.shape[0]):
        dgx[j] = dh[j] if saved[j] > zero else zero
        dh_prev[j] = zero


def sigmoid_forward(gx, gh, h_prev, c_prev, h, c, saved, unit):  # type: ignore[no-untyped-def]
    pointwise.add(gx, gh, h)
    pointwise.sigmoid(h)
    pointwise.copy(h, saved)


def sigmoid_backward(dh, dc, saved, h_prev, c_prev, unit, dgx, dgh, dh_prev, dc_prev):  # type: ignore[no-untyped-def]
    for j in range(dh.shape[0]):
        dgx[j] = dh[j] * saved[j] * (unit - saved[j])
        dh_prev[j] = unit - unit


def linear_forward(gx, gh, h_prev, c_prev, h, c, saved, unit):  # type: ignore[no-untyped-def]
    pointwise.add(gx, gh, h)
    pointwise.copy(h, saved)


def linear_backward(dh, dc, saved, h_prev, c_prev, unit, dgx, dgh, dh_prev, dc_prev):  # type: ignore[no-untyped-def]
    for j in range(dh.shape[0]):
        dgx[j] = dh[j]
        dh_prev[j] = unit - unit


RULES = {
    "tanh": Rule(tanh_forward, tanh_backward, gates=1, width=1, name="rnn-tanh"),
    "relu": Rule(relu_forward, relu_backward, gates=1, width=1, name="rnn-relu"),
    "sigmoid": Rule(sigmoid_forward, sigmoid_backward, gates=1, width=1, name="rnn-sigmoid"),
    "linear": Rule(linear_forward, linear_backward, gates=1, width=1, name="rnn-linear"),
}
