"""The recurrent parameters of a layer as a cell's own step reads them, and the gradients that come back to them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnlab.scan.layer import Layer
from rnnlab.scan.scaled import Scaled, add, sum_of_products


@dataclass
class Product:
    """Rows [R, B, H] that a parameter multiplied, and dL/d(the product) [R, B, N] once the scan came back to it.

    With the adjoint clip that is the clamped gradient. None where the product has no part in the loss.
    """

    name: str
    rows: Tensor
    gradient: Tensor | None = None


class Recurrent:
    """The recurrent parameters of R replicas for a cell that multiplies by them itself.

    blocks: by parameter, the gates that it is for. Where there is a b_hh, the block of a gate is added to the product
    with the first parameter that is for this gate.

    >>> layer = Layer(torch.ones(1, 1, 4), {"W_hh": torch.full((1, 2, 2), 0.5)}, torch.zeros(1, 4), None)
    >>> Recurrent(layer, {"W_hh": ("z",)}, ("z", "n")).product(torch.ones(1, 1, 2), "W_hh")
    tensor([[[1., 1.]]])
    """

    def __init__(self, layer: Layer, blocks: Mapping[str, tuple[str, ...]], gates: tuple[str, ...]) -> None:
        self.layer, self.hidden = layer, layer.b.shape[1] // len(gates)
        self.limits: Tensor | None = None
        """Of the adjoint clip, [R, B, 1], in units of the rows that are on their way back."""
        self._places = _places(blocks, gates)
        self._products: list[Product] = []

    def product(self, rows: Tensor, name: str) -> Tensor:
        """rows W, [R, B, H] to [R, B, N]; of a diagonal parameter rows * w, repeated for each of its gates.

        The adjoint clip clamps the gradient that comes back to it. Raises KeyError for an unknown name.
        """
        b_hh = self.layer.b_hh
        result = self._times(rows, name, self.layer.recurrent[name].detach(), None if b_hh is None else b_hh.detach())
        if result.requires_grad:
            self._products.append(Product(name, rows.detach()))
            result.register_hook(functools.partial(self._arrived, self._products[-1]))
        return result

    def _times(self, rows: Tensor, name: str, W: Tensor, b_hh: Tensor | None) -> Tensor:
        """rows W, and the b_hh of its gates."""
        result = torch.bmm(rows, W) if W.shape[1] == rows.shape[-1] else _repeated(rows, W) * W
        return result if b_hh is None else result + self._bias(name, b_hh)[:, None]

    def take(self) -> list[Product]:
        """The products since the last call, in their order."""
        taken, self._products = self._products, []
        return taken

    def sums(self, by_timestep: Sequence[Sequence[Product]], exponents: Tensor) -> dict[str, Scaled]:
        """The gradients of all recurrent parameters, and of b_hh, from the products of T timesteps.

        exponents int64 [R, T, B]: those of the products' gradients.
        """
        sums: dict[str, Scaled] = {}
        of_bias: list[Tensor | None] = [None] * (self.layer.b.shape[1] // self.hidden)
        for products in zip(*by_timestep, strict=True):
            name, W = products[0].name, self.layer.recurrent[products[0].name]
            rows = torch.stack([product.rows for product in products], 1)
            d = torch.stack([_gradient(product, W.shape[2]) for product in products], 1)
            diagonal = W.shape[1] != rows.shape[-1]
            left = _repeated(rows, W) if diagonal else rows
            part = sum_of_products(left, Scaled(d, exponents), elementwise=diagonal)
            part = Scaled(part.mantissa.flatten(1), part.exponent)
            sums[name] = add(sums[name], part) if name in sums else part
            for gate, block in zip(self._places[name], d.split(self.hidden, -1), strict=True):
                if gate is not None:
                    held = of_bias[gate]
                    of_bias[gate] = block if held is None else held + block
        whole = {name: self._whole(sums.get(name), value) for name, value in self.layer.recurrent.items()}
        if self.layer.b_hh is not None:
            nothing = self.layer.b_hh.new_zeros(*exponents.shape, self.hidden)
            d = torch.cat([nothing if block is None else block for block in of_bias], -1)
            whole["b_hh"] = sum_of_products(None, Scaled(d, exponents))
        return whole

    def _whole(self, total: Scaled | None, like: Tensor) -> Scaled:
        if total is None:
            return Scaled(torch.zeros_like(like), torch.zeros(len(like), dtype=torch.int64, device=like.device))
        return Scaled(total.mantissa.view(like.shape), total.exponent)

    def _bias(self, name: str, b_hh: Tensor) -> Tensor:
        blocks = b_hh.split(self.hidden, -1)
        nothing = torch.zeros_like(blocks[0])
        return torch.cat([nothing if gate is None else blocks[gate] for gate in self._places[name]], -1)

    def _arrived(self, product: Product, gradient: Tensor) -> Tensor:
        if self.limits is not None:
            gradient = gradient.clamp(-self.limits, self.limits)
        product.gradient = gradient
        return gradient


class Differentiable(Recurrent):
    """The same, with products that autograd goes through to the parameters themselves, and keeps no account of.

    >>> layer = Layer(torch.ones(1, 1, 4), {"W_hh": torch.ones(1, 2, 2, requires_grad=True)}, torch.zeros(1, 4), None)
    >>> Differentiable(layer, {"W_hh": ("z",)}, ("z", "n")).product(torch.ones(1, 1, 2), "W_hh").requires_grad
    True
    """

    def product(self, rows: Tensor, name: str) -> Tensor:
        """rows W, as in Recurrent. Raises KeyError for an unknown name."""
        return self._times(rows, name, self.layer.recurrent[name], self.layer.b_hh)


def _places(blocks: Mapping[str, tuple[str, ...]], gates: tuple[str, ...]) -> dict[str, list[int | None]]:
    """By parameter and block, the gate whose b_hh is added there; None where another parameter has it."""
    taken: set[str] = set()
    places: dict[str, list[int | None]] = {}
    for name, held in blocks.items():
        places[name] = [None if gate in taken else gates.index(gate) for gate in held]
        taken.update(held)
    return places


def _repeated(rows: Tensor, w: Tensor) -> Tensor:
    """Rows [..., H] beside each other, as many times as a diagonal parameter [R, 1, N] has gates."""
    return torch.cat([rows] * (w.shape[2] // rows.shape[-1]), -1)


def _gradient(product: Product, N: int) -> Tensor:
    return product.rows.new_zeros(*product.rows.shape[:2], N) if product.gradient is None else product.gradient
