"""The random permutation problem."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike
from pydantic import Field

from rnnlab.tasks.base import Batch, Chance, Kind
from rnnlab.tasks.generated import HOCHREITER, PASCANU, Generated, one_hot


class RandomPermutation(Generated):
    """Predict the symbol after the end: the first one again, after T - 1 that mean nothing.

    Protocol: T + 1 symbols. The first is 0 or 1 with equal chance and the last is the same; those between are drawn
    uniformly from the others, 2 to `symbols` - 1. Timestep t takes in symbol t as a unit vector and its target is
    symbol t + 1. Only the last target can be predicted; the loss is there by default, as in Pascanu's experiments, and
    `loss: all` asks for every next symbol, as Hochreiter and Schmidhuber do.

    Mistake: any symbol but the right one, judged on the last timestep alone (or where `single` puts the loss). Pascanu
    calls a run successful when fewer than 1% of held-out sequences are wrong (`stop: "error < 0.01"`).

    Chance: on the last timestep a cross-entropy of ln 2 and an error of 1/2; on each of the others ln(symbols - 2).

    >>> batch = next(RandomPermutation(length=20).stream(seed=0, dtype="float32").batches(4))
    >>> batch.x.shape, batch.y.shape
    ((20, 4, 100), (20, 4))
    """

    kind: ClassVar[Kind] = "class"
    per_timestep: ClassVar[bool] = True
    source: ClassVar[str] = f"{PASCANU}; {HOCHREITER}"

    name: Literal["random_permutation"] = "random_permutation"
    length: int = Field(default=100, ge=2, description="length T of a sequence, in timesteps")
    symbols: int = Field(default=100, ge=3, description="symbols in all, the two to remember included")

    @property
    def inputs(self) -> int:
        return self.symbols

    @property
    def outputs(self) -> int:
        return self.symbols

    @property
    def timesteps(self) -> int:
        return self.length

    @property
    def scored(self) -> range | None:
        return range(self.length - 1, self.length) if self.loss == "all" else None

    def draw(self, rng: np.random.Generator, batch: int, dtype: DTypeLike) -> Batch:
        symbols = rng.integers(2, self.symbols, (self.length + 1, batch))
        symbols[0] = symbols[-1] = rng.integers(0, 2, batch)
        return Batch(one_hot(symbols[:-1], self.symbols, dtype), symbols[1:], None)

    def chance(self) -> Chance:
        choices = np.full(self.length, self.symbols - 2.0)
        choices[-1] = 2
        wrong = 0.5 if self.scored else self.over_loss(1 - 1 / choices)
        return Chance(self.over_loss(np.log(choices)), wrong)
