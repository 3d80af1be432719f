"""The copying memory problem."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike
from pydantic import Field

from rnnlab.tasks.base import LOSS_HELP, Batch, Chance, Kind, Loss
from rnnlab.tasks.generated import HOCHREITER, Generated, one_hot

SHOWN = 10
SYMBOLS = 8
BLANK, DELIMITER = SYMBOLS, SYMBOLS + 1


class Copy(Generated):
    """Repeat ten symbols after a delay of T timesteps.

    Protocol: `length` is the delay T; a sequence has T + 20 timesteps. First 10 symbols drawn uniformly from 8, then
    T - 1 blanks, one delimiter, and 10 blanks (10 different inputs). The target is blank for T + 10 timesteps, then
    the 10 symbols in order (9 different outputs).

    Mistake: a wrong symbol among the last 10 timesteps (or where `last` or `single` puts the loss); the error is their
    fraction.

    Chance: blank for T + 10 timesteps and a guess for 10: 10 ln 8 / (T + 20) with the loss on all timesteps, and an
    error of 7/8.

    >>> batch = next(Copy(length=30).stream(seed=0, dtype="float32").batches(4))
    >>> batch.x.shape, batch.y.shape
    ((50, 4, 10), (50, 4))
    """

    kind: ClassVar[Kind] = "class"
    per_timestep: ClassVar[bool] = True
    inputs: ClassVar[int] = SYMBOLS + 2
    outputs: ClassVar[int] = SYMBOLS + 1
    source: ClassVar[str] = (
        f"Arjovsky, Shah and Bengio, Unitary evolution recurrent neural networks, 2016, arXiv:1511.06464; {HOCHREITER}"
    )

    name: Literal["copy"] = "copy"
    loss: Loss = Field(default="all", description=LOSS_HELP)
    length: int = Field(default=100, ge=1, description="delay T, in timesteps; a sequence has T + 20")

    @property
    def timesteps(self) -> int:
        return self.length + 2 * SHOWN

    @property
    def scored(self) -> range | None:
        return range(self.timesteps - SHOWN, self.timesteps) if self.loss == "all" else None

    def draw(self, rng: np.random.Generator, batch: int, dtype: DTypeLike) -> Batch:
        symbols = rng.integers(0, SYMBOLS, (SHOWN, batch))
        shown = np.full((self.timesteps, batch), BLANK)
        y = shown.copy()
        shown[:SHOWN] = y[-SHOWN:] = symbols
        shown[-SHOWN - 1] = DELIMITER
        return Batch(one_hot(shown, DELIMITER + 1, dtype), y)

    def chance(self) -> Chance:
        choices = np.ones(self.timesteps)
        choices[-SHOWN:] = SYMBOLS
        wrong = 1 - 1 / SYMBOLS if self.scored else self.over_loss(1 - 1 / choices)
        return Chance(self.over_loss(np.log(choices)), wrong)
