"""The antisymmetric recurrent network."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from rnnlab.cells.base import Cell, State
from rnnlab.scan import pointwise
from rnnlab.scan.rule import Rule

if TYPE_CHECKING:
    from torch import Tensor


class Antisymmetric(Cell):
    """Antisymmetric RNN, h_t = h_{t-1} + epsilon * tanh(x_t W_ih + b + h_{t-1} (W_hh - W_hh^T - gamma 1)).

    A step of the forward Euler method along a differential equation whose Jacobian has eigenvalues near the imaginary
    axis, so that a gradient neither vanishes nor explodes. What multiplies the state is W_hh - W_hh^T - gamma 1, and
    `spectrum` measures that; W_hh is the paper's W transposed, as every weight here is.

    The compiled scan has epsilon inside: it is compiled once for each value.

    >>> import torch
    >>> a = torch.tensor([0.5, -0.5])  # x_t W_ih + b of two units
    >>> (h,), gates = Antisymmetric(epsilon=0.1).definition(a, torch.zeros(2), (torch.ones(2),))
    >>> h
    tensor([1.0462, 0.9538])
    """

    source: ClassVar[str] = (
        "Chang, Chen, Haber and Chi, AntisymmetricRNN: a dynamical system view on recurrent neural networks, 2019, "
        "arXiv:1902.09689"
    )
    gates: ClassVar[tuple[str, ...]] = ("h",)
    parametrised: ClassVar[bool] = True

    name: Literal["antisymmetric"] = "antisymmetric"
    epsilon: float = Field(default=0.01, gt=0, le=1e6, description="Size of a step in time.")
    gamma: float = Field(default=0.01, ge=0, le=1e6, description="Diffusion: what is taken from the diagonal of W_hh.")

    def weights(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        W = parameters["W_hh"]
        of_state = W - W.mT
        # Zero beforehand, whatever W has there.
        of_state.diagonal(dim1=1, dim2=2).sub_(self.gamma)
        return {**parameters, "W_hh": of_state}

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        gate = (gx + gh).tanh()
        return (state[0] + self.epsilon * gate,), (gate,)

    def rule(self) -> Rule:
        return _rule(self.epsilon)

    def nonlinearities(self) -> tuple[str, ...]:
        return ("tanh",)


@functools.cache
def _rule(epsilon: float) -> Rule:
    def forward(gx, gh, h_prev, c_prev, h, c, saved, unit):  # type: ignore[no-untyped-def]
        pointwise.add(gx, gh, saved)
        pointwise.tanh(saved)
        for j in range(h.shape[0]):
            h[j] = h_prev[j] + epsilon * saved[j]

    def backward(dh, dc, saved, h_prev, c_prev, unit, dgx, dgh, dh_prev, dc_prev):  # type: ignore[no-untyped-def]
        for j in range(dh.shape[0]):
            dgx[j] = epsilon * dh[j] * (unit - saved[j] * saved[j])
        pointwise.copy(dh, dh_prev)

    return Rule(forward, backward, gates=1, width=1)
