"""The noiseless memorization problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike
from pydantic import Field

from rnnlab.tasks.base import LOSS_HELP, Batch, Chance, Kind, Loss
from rnnlab.tasks.generated import HOCHREITER, PASCANU, Generated, one_hot

if TYPE_CHECKING:
    from torch import Tensor

MARTENS = (
    "Martens and Sutskever, Learning recurrent neural networks with Hessian-free optimization, 2011, "
    "https://icml.cc/Conferences/2011/papers/532_icmlpaper.pdf"
)


class NoiselessMemorization(Generated):
    """Give back a short pattern after T timesteps of silence.

    Protocol: `pattern` symbols drawn uniformly from `symbols`, then T blanks, then a trigger and `pattern` - 1 more
    blanks: T + 2 `pattern` timesteps, of `symbols` + 2 inputs. The target is blank until the trigger, and from it on
    the pattern, in order. 5 binary symbols by default; Martens and Sutskever's larger form is `pattern: 10,
    symbols: 5`. The small form has only 32 patterns, so what is held out is always met in training as well.

    Mistake: one wrong symbol anywhere makes the whole sequence wrong, the blanks included; the error is the fraction
    of wrong sequences. Pascanu calls a run successful when it is below 1% (`stop: "error < 0.01"`).

    Chance: silence is certain and each symbol of the pattern is a guess: `pattern` ln(symbols) / (T + 2 `pattern`) with
    the loss on all timesteps, and an error of 1 - symbols^-pattern.

    >>> batch = next(NoiselessMemorization(length=20).stream(seed=0, dtype="float32").batches(4))
    >>> batch.x.shape, batch.y.shape
    ((30, 4, 4), (30, 4))
    """

    kind: ClassVar[Kind] = "class"
    per_timestep: ClassVar[bool] = True
    source: ClassVar[str] = f"{PASCANU}; {MARTENS}; {HOCHREITER}"

    name: Literal["noiseless_memorization"] = "noiseless_memorization"
    loss: Loss = Field(default="all", description=LOSS_HELP)
    length: int = Field(default=100, ge=1, description="delay T between the pattern and the trigger, in timesteps")
    pattern: int = Field(default=5, ge=1, description="symbols to remember")
    symbols: int = Field(default=2, ge=2, description="different symbols in a pattern")

    @property
    def inputs(self) -> int:
        return self.symbols + 2

    @property
    def outputs(self) -> int:
        return self.symbols + 1

    @property
    def timesteps(self) -> int:
        return self.length + 2 * self.pattern

    def mistakes(self, outputs: Tensor, y: Tensor) -> Tensor:
        """1 for a sequence with any wrong symbol, else 0: [1, R, B]."""
        return super().mistakes(outputs, y).amax(0, keepdim=True)

    def draw(self, rng: np.random.Generator, batch: int, dtype: DTypeLike) -> Batch:
        pattern = rng.integers(0, self.symbols, (self.pattern, batch))
        shown = np.full((self.timesteps, batch), self.symbols)
        y = shown.copy()
        shown[: self.pattern] = y[-self.pattern :] = pattern
        shown[-self.pattern] = self.symbols + 1
        return Batch(one_hot(shown, self.inputs, dtype), y)

    def chance(self) -> Chance:
        choices = np.ones(self.timesteps)
        choices[-self.pattern :] = self.symbols
        wrong = 1 - self.symbols**-self.pattern if self.loss == "all" else self.over_loss(1 - 1 / choices)
        return Chance(self.over_loss(np.log(choices)), wrong)
