"""The parameters of one layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Layer:
    """The parameters of one layer: W_ih [R, I, G*H], b [R, G*H], b_hh [R, G*H] or None, and the recurrent ones.

    recurrent: by name, each [R, H, N], or [R, 1, N] for a diagonal one; in the product form W_hh [R, H, G*H] alone.
    """

    W_ih: Tensor
    recurrent: Mapping[str, Tensor]
    b: Tensor
    b_hh: Tensor | None

    @property
    def W_hh(self) -> Tensor:  # noqa: N802
        """The recurrent matrix of that name. Raises KeyError for a cell that has none."""
        return self.recurrent["W_hh"]

    def parameters(self) -> dict[str, Tensor]:
        """All of them by name: W_ih, the recurrent ones, b, and b_hh where there is one."""
        named = {"W_ih": self.W_ih, **self.recurrent, "b": self.b}
        return named if self.b_hh is None else {**named, "b_hh": self.b_hh}

    def replaced(self, name: str, value: Tensor) -> Layer:
        """The layer with another value for one of them."""
        if name in self.recurrent:
            return replace(self, recurrent={**self.recurrent, name: value})
        own: dict[str, Any] = {name: value}
        return replace(self, **own)
