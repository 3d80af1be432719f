"""The coupled oscillatory recurrent network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from rnnlab.cells.base import Cell, State

if TYPE_CHECKING:
    from torch import Tensor

    from rnnlab.scan.recurrent import Recurrent


class CoRnn(Cell):
    """Coupled oscillatory RNN, h_t = h_{t-1} + dt * z_t with dz = dt * (s - gamma * h_{t-1} - epsilon * z_{t-1}).

    z_t = z_{t-1} + dz, and s = tanh(x_t W_ih + b + h_{t-1} W_hh + z_{t-1} W_zh). Each unit is a damped oscillator that
    all others drive: h is its position, the paper's y, and z its velocity. The damping is that of the timestep before,
    as in the authors' code. It has two products and so no rule: the general scan runs it.

    >>> import torch
    >>> from rnnlab.scan.layer import Layer
    >>> from rnnlab.scan.recurrent import Recurrent
    >>> cell, W = CoRnn(dt=0.1, gamma=1, epsilon=1), torch.zeros(1, 1, 1)
    >>> layer = Layer(torch.zeros(1, 1, 1), {"W_hh": W, "W_zh": W}, torch.zeros(1, 1), None)
    >>> at_rest_at_1 = torch.ones(1, 1, 1), torch.zeros(1, 1, 1)
    >>> (h, z), gates = cell.step(torch.zeros(1, 1, 1), at_rest_at_1, Recurrent(layer, cell.recurrent, cell.gates))
    >>> h, z  # it is pulled back to 0
    (tensor([[[0.9900]]]), tensor([[[-0.1000]]]))
    """

    source: ClassVar[str] = (
        "Rusch and Mishra, Coupled oscillatory recurrent neural network (coRNN), 2021, arXiv:2010.00951"
    )
    gates: ClassVar[tuple[str, ...]] = ("s",)
    states: ClassVar[tuple[str, ...]] = ("h", "z")

    name: Literal["cornn"] = "cornn"
    dt: float = Field(default=0.042, gt=0, le=1e6, description="Size of a step in time.")
    gamma: float = Field(default=2.7, ge=0, le=1e6, description="Stiffness: squared frequency of a unit by itself.")
    epsilon: float = Field(default=4.7, gt=0, le=1e6, description="Damping.")

    @property
    def recurrent(self) -> Mapping[str, tuple[str, ...]]:
        return {"W_hh": ("s",), "W_zh": ("s",)}

    def step(self, gx: Tensor, state: State, parameters: Recurrent) -> tuple[State, State]:
        h, z = state
        s = (gx + parameters.product(h, "W_hh") + parameters.product(z, "W_zh")).tanh()
        z = z + self.dt * (s - self.gamma * h - self.epsilon * z)
        return (h + self.dt * z, z), (s,)

    def nonlinearities(self) -> tuple[str, ...]:
        return ("tanh",)
