"""What a task has that asks, at every timestep, for something of some timesteps ago."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from rnnlab.tasks.base import LOSS_HELP, Array, Chance, Kind, Loss
from rnnlab.tasks.generated import Generated


class Delayed(Generated):
    """A task of classes that hang on the inputs `delay` timesteps ago; until there are any the answer is fixed."""

    kind: ClassVar[Kind] = "class"
    per_timestep: ClassVar[bool] = True

    loss: Loss = Field(default="all", description=LOSS_HELP)
    length: int = Field(default=100, ge=2, description="length T of a sequence, in timesteps; above the delay")
    delay: int = Field(default=10, ge=1, description="timesteps between what is shown and its answer")

    @model_validator(mode="after")
    def _is_long_enough(self) -> Self:
        if self.delay >= self.length:
            raise ValueError(f"delay {self.delay} is not below length {self.length}: no answer would ever be asked for")
        return self

    @property
    def timesteps(self) -> int:
        return self.length

    @property
    def answers(self) -> int:
        """From how many answers, all equally likely, one is right."""
        raise NotImplementedError

    def late(self, shown: Array, before: int) -> Array:
        """What was shown `delay` timesteps ago, of rows [T, B]; `before` where nothing was."""
        return np.concatenate([np.full((self.delay, shown.shape[1]), before), shown[: -self.delay]])

    def chance(self) -> Chance:
        choices = np.ones(self.length)
        choices[self.delay :] = self.answers
        return Chance(self.over_loss(np.log(choices)), self.over_loss(1 - 1 / choices))
