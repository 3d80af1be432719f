"""What every task has: sequences, targets, the place of the loss, the level of chance, the measure of a mistake."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rnnlab.parts import Part, without_example

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["class", "value"]
Split = Literal["train", "validation", "test"]
Array = NDArray[Any]
Ints = NDArray[np.int64]

CHUNK = 256
_PURPOSE = 0x7461736B
_SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Single(BaseModel):
    """The loss on one chosen timestep: a negative number counts from each sequence's own end (-1 is the last).

    >>> from rnnlab.tasks.copy import Copy
    >>> Copy(length=30, loss=Single(single=-1)).chance().error  # a guess among 8 symbols
    0.875
    """

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=without_example)

    single: int = Field(description="timestep of the loss; negative counts from each sequence's own end")


Loss = Literal["last", "all"] | Single
LOSS_HELP = (
    "where the loss is: `last` (the last timestep of each sequence), `all` (the mean over the timesteps of all "
    "sequences together), or `{single: t}` (timestep t alone; negative t counts from the end). A task with one target "
    "a sequence asks for that target wherever the loss is"
)


@dataclass(frozen=True)
class Batch:
    """Sequences with their targets: x [T, B, I], padded with zeros beyond `lengths` [B] (None: all are T long).

    y is int64 classes or real values; [B] or [B, O] for one target a sequence, [T, B] or [T, B, O] for one a timestep
    (0 on padding, which is never looked at).

    >>> batch = Batch(x=np.zeros((3, 2, 1)), y=np.array([[0.5], [1.5]]), lengths=np.array([3, 2]))
    >>> T, B, inputs = batch.x.shape
    >>> T, B, inputs
    (3, 2, 1)
    """

    x: Array
    y: Array
    lengths: Ints | None = None


@dataclass(frozen=True)
class Chance:
    """Loss and error of a predictor that remembers nothing of its sequence; None where they are not known.

    >>> from rnnlab.tasks.addition import Addition
    >>> Addition(target="mean").chance()
    Chance(loss=0.041666666666666664, error=0.36)
    """

    loss: float | None = None
    error: float | None = None


class Source(ABC):
    """One replica's stream of data, with a random state of its own."""

    size: int | None = None  # training sequences in an epoch; None: generated without end

    @abstractmethod
    def batches(self, batch: int) -> Iterator[Batch]:
        """Training batches without end, from the position of the stream on."""

    @abstractmethod
    def evaluation(self, split: Literal["validation", "test"], limit: int, chunk: int = CHUNK) -> Iterator[Batch]:
        """The same `limit` sequences (or all there are) at every call, at most `chunk` (at most 256) in a batch."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """The position of the stream, as a mapping that JSON can hold; `restore` continues exactly from it."""

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`; iterators that were made before continue from there as well."""


class Task(Part, ABC):
    """What is learned: a source of sequences, the placement of the loss and the measure of a mistake."""

    endless: ClassVar[bool] = False
    """Training sequences are drawn without end, so that there is no epoch."""

    loss: Loss = Field(default="last", description=LOSS_HELP)

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """`class`: softmax cross-entropy in nats; `value`: mean squared error."""

    @property
    @abstractmethod
    def per_timestep(self) -> bool:
        """Whether y has a time axis."""

    @property
    @abstractmethod
    def inputs(self) -> int:
        """The number of inputs at each timestep, I."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """The number of outputs at each timestep, O: classes or values."""

    @property
    @abstractmethod
    def timesteps(self) -> int:
        """The length T of x in every batch: that of the longest sequence."""

    @property
    def shortest(self) -> int:
        """The length of the shortest sequence there can be, in timesteps."""
        return self.timesteps

    @property
    def scored(self) -> Sequence[int] | None:
        """The timesteps whose outputs `mistakes` judges; None: those where the loss is."""
        return None

    @abstractmethod
    def stream(self, seed: int, dtype: DTypeLike) -> Source:
        """The source of one replica; x and real targets have `dtype`. Raises DataMissingError and DataFormatError."""

    @abstractmethod
    def chance(self) -> Chance:
        """The level of chance for this loss placement."""

    def mistakes(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Error of each prediction: outputs [S, R, B, O] against y [S, R, B] or [S, R, B, O], to [S, R, B].

        `class`: 1 where the largest output is not the target's, else 0. `value`: |output - y|, mean over O.
        """
        return misclassified(outputs, y) if self.kind == "class" else (outputs - y).abs().mean(-1)

    def files(self) -> list[Path]:
        """The data files that are read."""
        return []

    def over_loss(self, levels: Array) -> float:
        """The mean of a level per timestep [T] over the timesteps where the loss is."""
        if isinstance(self.loss, Single):
            return float(levels[self.loss.single])
        return float(levels.mean() if self.loss == "all" else levels[-1])

    def check_loss(self) -> None:
        """Raise ValueError when the one timestep of the loss is not in every sequence."""
        if isinstance(self.loss, Single) and not -self.shortest <= self.loss.single < self.shortest:
            raise ValueError(
                f"loss.single: timestep {self.loss.single} is not in every sequence; the shortest has "
                f"{self.shortest} timesteps, so {-self.shortest} to {self.shortest - 1} can be had"
            )

    @model_validator(mode="after")
    def _loss_is_within(self) -> Self:
        self.check_loss()
        return self


def misclassified(outputs: Tensor, y: Tensor) -> Tensor:
    """1 where the largest output is not the target's class or an output is NaN, else 0: [..., O], [...] to [...]."""
    return ((outputs.argmax(-1) != y) | outputs.isnan().any(-1)).to(outputs.dtype)


def beyond(outputs: Tensor, y: Tensor, tolerance: float) -> Tensor:
    """1 where an output is further than `tolerance` from its target or NaN, else 0: [..., O], [..., O] to [...]."""
    return (~((outputs - y).abs() <= tolerance).all(-1)).to(outputs.dtype)


def generator(seed: int, split: Split) -> np.random.Generator:
    """The random stream of one split under one seed; no two of them, and nothing else drawn from `seed`, overlap."""
    # A spawn key, for SeedSequence([seed, 0]) would be the very stream of SeedSequence(seed).
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_PURPOSE, _SPLITS.index(split))))
