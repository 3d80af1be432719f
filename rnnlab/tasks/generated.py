"""Tasks whose sequences are drawn at random without end, and what their protocols have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike
from pydantic import AfterValidator, Field

from rnnlab.tasks.base import CHUNK, Array, Batch, Ints, Kind, Source, Task, beyond, generator

if TYPE_CHECKING:
    from torch import Tensor

HOCHREITER = "Hochreiter and Schmidhuber, Long short-term memory, 1997, doi:10.1162/neco.1997.9.8.1735"
PASCANU = "Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013, arXiv:1211.5063"
"""The papers that most of these tasks come from."""

TOLERANCE = 0.2  # Pascanu et al. count a squared error above 0.04 as wrong

Draw = Callable[[np.random.Generator, int], Batch]


class Generated(Task):
    """A task that draws its sequences; validation and test come from streams of their own, fixed by the seed."""

    endless: ClassVar[bool] = True

    @abstractmethod
    def draw(self, rng: np.random.Generator, batch: int, dtype: DTypeLike) -> Batch:
        """A batch of sequences that `rng` alone decides."""

    def stream(self, seed: int, dtype: DTypeLike) -> Source:
        return GeneratedSource(lambda rng, batch: self.draw(rng, batch, dtype), seed, self.per_timestep)


class GeneratedSource(Source):
    """Batches drawn as they are asked for; `state` is the generator's own.

    >>> from rnnlab.tasks.addition import Addition
    >>> source = Addition(length=20).stream(seed=0, dtype="float32")
    >>> state = source.state()
    >>> first = next(source.batches(4))
    >>> source.restore(state)
    >>> np.array_equal(next(source.batches(4)).x, first.x)
    True
    """

    def __init__(self, draw: Draw, seed: int, per_timestep: bool) -> None:
        self._draw, self._seed, self._per_timestep = draw, seed, per_timestep
        self._rng = generator(seed, "train")

    def batches(self, batch: int) -> Iterator[Batch]:
        while True:
            yield self._draw(self._rng, batch)

    def evaluation(self, split: Literal["validation", "test"], limit: int, chunk: int = CHUNK) -> Iterator[Batch]:
        rng = generator(self._seed, split)
        # Always drawn 256 at a time: neither `chunk` nor `limit` changes what the sequences are.
        for start in range(0, limit, CHUNK):
            block, stop = self._draw(rng, CHUNK), min(CHUNK, limit - start)
            for first in range(0, stop, chunk):
                yield self._part(block, slice(first, min(first + chunk, stop)))

    def _part(self, block: Batch, rows: slice) -> Batch:
        y = block.y[:, rows] if self._per_timestep else block.y[rows]
        lengths = None if block.lengths is None else block.lengths[rows]
        return Batch(np.ascontiguousarray(block.x[:, rows]), np.ascontiguousarray(y), lengths)

    def state(self) -> dict[str, Any]:
        return {"rng": dict(self._rng.bit_generator.state)}

    def restore(self, state: dict[str, Any]) -> None:
        self._rng.bit_generator.state = state["rng"]


def at_least(minimum: int, why: str) -> AfterValidator:
    """A check that a length is `minimum` timesteps or more, saying why when it is not."""

    def check(length: int) -> int:
        if length < minimum:
            raise ValueError(f"{length} is too short: at least {minimum} timesteps are needed, {why}")
        return length

    return AfterValidator(check)


TenthsLength = Annotated[
    int,
    at_least(10, "so that every tenth of a sequence holds a timestep"),
    Field(description="length T of a sequence, in timesteps", json_schema_extra={"minimum": 10}),
]


class Stretched(Generated):
    """A task whose marked timesteps lie in given tenths of a sequence, of one length or of many."""

    length: TenthsLength = 100
    jitter: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="sequences are T to (1 + jitter) T timesteps long, drawn uniformly; 0: all are T. Papers use 0.1",
    )

    @property
    def timesteps(self) -> int:
        return self.length + int(self.length * self.jitter + 1e-9)

    @property
    def shortest(self) -> int:
        return self.length

    def lengths(self, rng: np.random.Generator, batch: int) -> Ints:
        """A length for each sequence [B], in timesteps."""
        if self.timesteps == self.length:
            return np.full(batch, self.length)
        return rng.integers(self.length, self.timesteps + 1, batch)

    def within(self, rng: np.random.Generator, lengths: Ints, low: int, high: int) -> Ints:
        """A timestep for each sequence, uniform from `low` tenths of its length up to, not including, `high` tenths."""
        if self.timesteps == self.length:  # the same numbers, drawn in half the time
            return rng.integers(self.length * low // 10, self.length * high // 10, len(lengths))
        return rng.integers(lengths * low // 10, lengths * high // 10)

    def padding(self, lengths: Ints) -> Array | None:
        """True where a sequence is over, [T, B]; None when all have one length."""
        return None if self.timesteps == self.length else np.arange(self.timesteps)[:, None] >= lengths

    def batch(self, x: Array, y: Array, lengths: Ints) -> Batch:
        """The batch, with its lengths where they differ."""
        return Batch(x, y, None if self.timesteps == self.length else lengths)


class Marked(Stretched):
    """A task of two numbers pointed out among many, whose target is one value."""

    kind: ClassVar[Kind] = "value"
    per_timestep: ClassVar[bool] = False
    inputs: ClassVar[int] = 2
    outputs: ClassVar[int] = 1

    @property
    def stretches(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Where each of the two marks lies, in tenths of the sequence: from, and up to, not including."""
        return (0, 1), (1, 5)

    def mistakes(self, outputs: Tensor, y: Tensor) -> Tensor:
        """1 where |output - target| > 0.2 (squared error above 0.04), else 0."""
        return beyond(outputs, y, TOLERANCE)

    def draw(self, rng: np.random.Generator, batch: int, dtype: DTypeLike) -> Batch:
        lengths, rows = self.lengths(rng, batch), np.arange(batch)
        first, second = (self.within(rng, lengths, low, high) for low, high in self.stretches)
        numbers = rng.random((self.timesteps, batch))
        if (padding := self.padding(lengths)) is not None:
            numbers[padding] = 0
        x = np.zeros((self.timesteps, batch, 2), dtype)
        x[..., 0] = numbers
        x[first, rows, 1] = 1
        x[second, rows, 1] = 1
        y = self.combine(numbers[first, rows], numbers[second, rows])
        return self.batch(x, y[:, None].astype(dtype), lengths)

    @abstractmethod
    def combine(self, first: Array, second: Array) -> Array:
        """The value asked for, from the two marked numbers [B]."""


def one_hot(symbols: Array, size: int, dtype: DTypeLike) -> Array:
    """Symbols [...] as unit vectors [..., size]."""
    units = np.zeros((symbols.size, size), dtype)
    units[np.arange(symbols.size), symbols.ravel()] = 1
    return units.reshape(*symbols.shape, size)
