"""One timestep of a layer as a map of states, s_t = F(s_{t-1}, x_t), and its derivatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rnnlab.scan.layer import Layer
from rnnlab.scan.recurrent import Differentiable

if TYPE_CHECKING:
    from rnnlab.cells import Cell


class StateMap:
    """F of one layer of R replicas: from s_{t-1} [R, B, N] and x_t [R, B, I] to s_t.

    s holds the states beside each other, h first: N = H, or 2H for h and c. Derivatives are those of the cell's own
    definition, by torch's automatic differentiation.

    >>> from rnnlab.cells import Rnn
    >>> W = torch.tensor([[[0.5, 0.0], [1.0, 0.5]]])
    >>> linear = StateMap(Rnn(nonlinearity="linear"), Layer(torch.zeros(1, 1, 2), {"W_hh": W}, torch.zeros(1, 2), None))
    >>> linear.jacobian(torch.zeros(1, 1, 1), torch.zeros(1, 1, 2))[0, 0]  # h_t = h_{t-1} W
    tensor([[0.5000, 1.0000],
            [0.0000, 0.5000]])
    """

    def __init__(self, cell: Cell, layer: Layer) -> None:
        self.cell, self.layer = cell, layer
        self.size = len(cell.states) * (layer.b.shape[1] // len(cell.gates))

    def of(self, r: int) -> StateMap:
        """That of one replica alone."""
        layer, one = self.layer, slice(r, r + 1)
        recurrent = {name: W[one] for name, W in layer.recurrent.items()}
        b_hh = None if layer.b_hh is None else layer.b_hh[one]
        return self.over(Layer(layer.W_ih[one], recurrent, layer.b[one], b_hh))

    def over(self, layer: Layer) -> StateMap:
        """That of the same cell with other weights."""
        return StateMap(self.cell, layer)

    def __call__(self, x: Tensor, s: Tensor) -> Tensor:
        """s_t [R, B, N]."""
        return self.with_gates(x, s)[0]

    def with_gates(self, x: Tensor, s: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """s_t [R, B, N], and the activated gates, each [R, B, H]."""
        return self._step(self._input(x), s)

    def pull(self, x: Tensor, s: Tensor, cotangents: Tensor, differentiable: bool = False) -> Tensor:
        """(ds_t / ds_{t-1})^T w for each of K cotangents w of every row: [R, B, K, N] to [R, B, K, N].

        differentiable: with respect to the recurrent weights, through the product itself, while x and s are held.
        """
        R, B, K, N = cotangents.shape
        gx = self._input(x)[:, :, None].expand(R, B, K, -1).flatten(1, 2).detach()
        rows = s.detach()[:, :, None].expand(R, B, K, N).flatten(1, 2).requires_grad_()
        with torch.enable_grad():
            after, _ = self._step(gx, rows)
        wanted = cotangents.flatten(1, 2)
        (pulled,) = torch.autograd.grad(
            after, rows, wanted, allow_unused=True, materialize_grads=True, create_graph=differentiable
        )
        return pulled.view(R, B, K, N)

    def jacobian(self, x: Tensor, s: Tensor) -> Tensor:
        """ds_t / ds_{t-1}, [R, B, N, N]: a row for each entry of s_t."""
        R, B, N = s.shape
        return self.pull(x, s, torch.eye(N, dtype=s.dtype).expand(R, B, N, N))

    def push(self, x: Tensor, s: Tensor, tangents: Tensor, name: str, directions: Tensor, scale: Tensor) -> Tensor:
        """(ds_t / ds_{t-1}) v + scale (ds_t / dtheta) u, of K tangents v of every row and K directions u of theta.

        For one replica: x [B, I], s [B, N], tangents [K, B, N], scale [K]; name: that of the parameter theta,
        directions [K, ...] of its shape. By two passes back, the second through the first, which is linear.
        """
        K = len(directions)
        rows = s.detach().expand(K, *s.shape).clone().requires_grad_()
        steps = torch.zeros(K, dtype=s.dtype, requires_grad=True)
        with torch.enable_grad():
            parameters = {key: value.expand(K, *value.shape[1:]) for key, value in self.layer.parameters().items()}
            moved = parameters[name] + steps.view(-1, *[1] * (directions.dim() - 1)) * directions
            recurrent = {key: parameters[key] for key in self.layer.recurrent}
            layer = Layer(parameters["W_ih"], recurrent, parameters["b"], parameters.get("b_hh")).replaced(name, moved)
            after = StateMap(self.cell, layer)(x.expand(K, *x.shape), rows)
            weights = torch.zeros_like(after, requires_grad=True)
            back = torch.autograd.grad(after, [rows, steps], weights, create_graph=True)
            carried = (back[0] * tangents).sum() + (back[1] * scale).sum()
            (pushed,) = torch.autograd.grad(carried, weights)
        return pushed

    def _input(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.layer.b[:, None], x, self.layer.W_ih)

    def _step(self, gx: Tensor, s: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        state = s.chunk(len(self.cell.states), -1)
        recurrent = Differentiable(self.layer, self.cell.recurrent, self.cell.gates)
        if self.cell.owns_step:
            after, gates = self.cell.step(gx, state, recurrent)
        else:
            after, gates = self.cell.definition(gx, recurrent.product(state[0], "W_hh"), state)
        return torch.cat(after, -1), gates
