"""What every initializer has in common: where it may be used, its two draws, and the scaling to a spectral radius."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rnnlab.errors import UsageError
from rnnlab.parts import Part

Array = NDArray[np.float64]

LARGEST = 1e100
"""The largest option: sums and products of a few such numbers can still be held."""
WEIGHTS = ("input", "recurrent", "readout")
BIASES = ("bias", "recurrent_bias", "readout_bias")


class Init(Part):
    """A rule for the first value of a weight or a bias.

    All random numbers come from the given generator; the same state of it gives the same numbers.
    """

    places: ClassVar[tuple[str, ...]] = ()
    nothing: ClassVar[bool] = False
    """Whether it always draws zeros, as if there were no such weight."""
    by_gate: ClassVar[bool] = False
    """Whether it draws the forget gate's bias by a rule, which a single value for that gate would undo."""

    def draw(self, fan_in: int, fan_out: int, gates: tuple[str, ...], rng: np.random.Generator) -> Array:
        """A weight [fan_in, len(gates) * fan_out], gates side by side in the order given.

        Raises UsageError where this init draws no weights, or cannot draw this one.
        """
        raise UsageError(f"init '{self.name}' draws no weights; it is for {', '.join(self.places)}")

    def draw_bias(
        self, hidden: int, gates: tuple[str, ...], rng: np.random.Generator, *, fan_in: int | None = None
    ) -> Array:
        """A bias [len(gates) * hidden], gates in the order given; its units have `fan_in` inputs.

        Raises UsageError where this init draws no biases, or cannot draw this one.
        """
        raise UsageError(f"init '{self.name}' draws no biases; it is for {', '.join(self.places)}")

    def polar(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Moduli and angles of complex eigenvalues, each [count].

        Raises UsageError where this init draws none.
        """
        raise UsageError(f"init '{self.name}' draws no eigenvalues, which this cell starts with; ring does")

    def conflict(self, gates: tuple[str, ...]) -> str | None:
        """Why a cell with these gates cannot use this init, or None where it can."""
        return None


class WeightInit(Init):
    """An initializer of weights: a sample and, if asked for, a spectral radius to which each gate is scaled."""

    places: ClassVar[tuple[str, ...]] = WEIGHTS

    spectral_radius: float | None = Field(
        default=None,
        gt=0,
        le=LARGEST,
        description="Scale each [H, H] gate block of the recurrent weight to this spectral radius; null leaves it.",
    )

    def sample(self, fan_in: int, fan_out: int, count: int, rng: np.random.Generator) -> Array:
        """The weight [fan_in, count * fan_out] for `count` gates, before any scaling."""
        raise NotImplementedError

    def draw(self, fan_in: int, fan_out: int, gates: tuple[str, ...], rng: np.random.Generator) -> Array:
        """The sample; with `spectral_radius` rho, each block W_g becomes rho * W_g / max |eig(W_g)|.

        Raises UsageError where the blocks are not square, or where one has spectral radius zero.
        """
        weight = self.sample(fan_in, fan_out, len(gates), rng)
        if self.spectral_radius is None:
            return weight
        if fan_in != fan_out:
            raise UsageError(f"init '{self.name}': spectral_radius needs square blocks, not [{fan_in}, {fan_out}]")
        blocks = zip(gates, np.split(weight, len(gates), axis=1), strict=True)
        return np.concatenate([self._scaled(block, gate) for gate, block in blocks], axis=1)

    def _scaled(self, block: Array, gate: str) -> Array:
        assert self.spectral_radius is not None
        radius = spectral_radius(block)
        if radius == 0:
            raise UsageError(
                f"init '{self.name}': the block of gate '{gate}' has spectral radius 0, "
                f"which no factor scales to {self.spectral_radius:g}"
            )
        return block * (self.spectral_radius / radius)


def spectral_radius(block: Array) -> float:
    """The largest absolute eigenvalue of a square matrix."""
    return float(np.abs(np.linalg.eigvals(block)).max())
