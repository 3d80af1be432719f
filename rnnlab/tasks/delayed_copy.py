"""The delayed copy task."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike
from pydantic import Field

from rnnlab.tasks.base import Batch
from rnnlab.tasks.delayed import Delayed
from rnnlab.tasks.generated import one_hot


class DelayedCopy(Delayed):
    """Repeat a stream of symbols, `delay` timesteps late: a network must hold that many at once.

    Protocol: at each of T timesteps one of `symbols`, drawn uniformly, as a unit vector. The target at t is the symbol
    of t - `delay`, and blank, a class of its own, before there is one.

    Mistake: any class but the right one.

    Chance: blanks are certain and every symbol is a guess: a cross-entropy of ln(symbols) and an error of
    1 - 1/symbols where one is asked for; with the loss on all timesteps, that in T - `delay` of T.

    >>> task = DelayedCopy(length=6, delay=2, symbols=3)
    >>> batch = next(task.stream(seed=0, dtype="float32").batches(1))
    >>> batch.x[:, 0].argmax(-1), batch.y[:, 0]
    (array([0, 1, 1, 2, 1, 1]), array([3, 3, 0, 1, 1, 2]))
    """

    source: ClassVar[str] = (
        "White, Lee and Sompolinsky, Short-term memory in orthogonal neural networks, 2004, arXiv:cond-mat/0402452"
    )

    name: Literal["delayed_copy"] = "delayed_copy"
    symbols: int = Field(default=8, ge=2, description="different symbols")

    @property
    def inputs(self) -> int:
        return self.symbols

    @property
    def outputs(self) -> int:
        return self.symbols + 1

    @property
    def answers(self) -> int:
        return self.symbols

    def draw(self, rng: np.random.Generator, batch: int, dtype: DTypeLike) -> Batch:
        shown = rng.integers(0, self.symbols, (self.length, batch))
        return Batch(one_hot(shown, self.symbols, dtype), self.late(shown, before=self.symbols))
