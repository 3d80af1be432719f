"""The initializer that gives eigenvalues: a ring in the complex plane."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from rnnlab.errors import UsageError
from rnnlab.inits.base import Array, Init


class Ring(Init):
    """Eigenvalues drawn evenly over the area of a ring in the complex plane: |lambda| from r_min to r_max.

    |lambda|^2 ~ U(r_min^2, r_max^2), and an angle from U(0, max_phase). The `lru` has these as its lambda. In any other
    cell a gate's block is the normal matrix [[Re, Im], [-Im, Re]] of diagonals, whose eigenvalues are lambda and its
    conjugates; an odd H adds one that is real, |lambda|.

    >>> import numpy as np
    >>> W = Ring(r_min=0.5, r_max=0.5).draw(4, 4, ("h",), np.random.default_rng(0))
    >>> np.abs(np.linalg.eigvals(W))
    array([0.5, 0.5, 0.5, 0.5])
    """

    source = "Orvieto et al., Resurrecting recurrent neural networks for long sequences, 2023, arXiv:2303.06349"
    places: ClassVar[tuple[str, ...]] = ("recurrent",)

    name: Literal["ring"] = "ring"
    r_min: float = Field(default=0.0, ge=0, lt=1, description="Smallest modulus, at most r_max.")
    r_max: float = Field(default=1.0, gt=0, le=1, description="Largest modulus.")
    max_phase: float = Field(
        default=2 * math.pi, gt=0, le=2 * math.pi, description="Largest angle, in radians; small ones turn slowly."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.r_min > self.r_max:
            raise ValueError(f"r_min {self.r_min:g} is above r_max {self.r_max:g}")
        return self

    def polar(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Moduli and angles [count], none of which is zero."""
        # random() can be 0 and never 1.
        area, turn = 1 - rng.random(count), 1 - rng.random(count)
        return np.sqrt(self.r_min**2 + area * (self.r_max**2 - self.r_min**2)), self.max_phase * turn

    def draw(self, fan_in: int, fan_out: int, gates: tuple[str, ...], rng: np.random.Generator) -> Array:
        """Raises UsageError where the blocks are not square."""
        if fan_in != fan_out:
            raise UsageError(f"init 'ring' needs square blocks, which have eigenvalues, not [{fan_in}, {fan_out}]")
        return np.concatenate([self._block(fan_in, rng) for _ in gates], axis=1)

    def _block(self, size: int, rng: np.random.Generator) -> Array:
        pairs, first = size // 2, size - size // 2
        moduli, phases = self.polar(first, rng)
        phases[pairs:] = 0
        real, imaginary = moduli * np.cos(phases), (moduli * np.sin(phases))[:pairs]
        block: Array = np.diag(np.concatenate([real, real[:pairs]]))
        block[:pairs, first:] = np.diag(imaginary)
        block[first:, :pairs] = -np.diag(imaginary)
        return block
