"""Gaussian noise, with nothing to learn."""

from __future__ import annotations

from math import erf, sqrt
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike
from pydantic import Field

from rnnlab.tasks.base import Batch, Chance, Kind, beyond
from rnnlab.tasks.generated import TOLERANCE, Generated

if TYPE_CHECKING:
    from torch import Tensor


class Noise(Generated):
    """Gaussian noise of a chosen variance, whose target has nothing to do with it: for readings beside a theory.

    Protocol: each timestep brings `channels` numbers from N(0, `variance`), all independent. The target, asked for
    after the last timestep, is one number from N(0, 1), so that an error of known size always goes back.

    Mistake: |output - target| > 0.2.

    Chance: always answering 0 has a mean squared error of 1, which nothing betters, and is wrong for
    P(|N(0, 1)| > 0.2) = 0.84 of the sequences.

    >>> batch = next(Noise(length=20, channels=3).stream(seed=0, dtype="float32").batches(4))
    >>> batch.x.shape, batch.y.shape
    ((20, 4, 3), (4, 1))
    """

    kind: ClassVar[Kind] = "value"
    per_timestep: ClassVar[bool] = False
    outputs: ClassVar[int] = 1
    source: ClassVar[str] = (
        "Poole et al., Exponential expressivity in deep neural networks through transient chaos, 2016, "
        "arXiv:1606.05340; of recurrent networks: Chen, Pennington and Schoenholz, Dynamical isometry and a mean field "
        "theory of RNNs, 2018, arXiv:1806.05394"
    )

    name: Literal["noise"] = "noise"
    length: int = Field(default=100, ge=2, description="length T of a sequence, in timesteps")
    variance: float = Field(default=1.0, gt=0, le=1e6, description="variance of each number of the input")
    channels: int = Field(default=1, ge=1, le=10**5, description="numbers at each timestep, I")

    @property
    def inputs(self) -> int:
        return self.channels

    @property
    def timesteps(self) -> int:
        return self.length

    def draw(self, rng: np.random.Generator, batch: int, dtype: DTypeLike) -> Batch:
        x = sqrt(self.variance) * rng.normal(size=(self.length, batch, self.channels))
        return Batch(x.astype(dtype), rng.normal(size=(batch, 1)).astype(dtype))

    def mistakes(self, outputs: Tensor, y: Tensor) -> Tensor:
        """1 where |output - target| > 0.2, else 0."""
        return beyond(outputs, y, TOLERANCE)

    def chance(self) -> Chance:
        return Chance(1.0, 1 - erf(TOLERANCE / sqrt(2)))
