"""The temporal order problem, with two symbols to remember."""

from __future__ import annotations

from math import log
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike

from rnnlab.tasks.base import Batch, Chance, Kind
from rnnlab.tasks.generated import HOCHREITER, PASCANU, Stretched, one_hot


class Ordered(Stretched):
    """A task of naming, in order, the A's and B's that stand among distractors."""

    kind: ClassVar[Kind] = "class"
    per_timestep: ClassVar[bool] = False
    inputs: ClassVar[int] = 6
    tenths: ClassVar[tuple[int, ...]]

    @property
    def outputs(self) -> int:
        return int(2 ** len(self.tenths))

    def chance(self) -> Chance:
        return Chance(log(self.outputs), 1 - 1 / self.outputs)

    def draw(self, rng: np.random.Generator, batch: int, dtype: DTypeLike) -> Batch:
        lengths, rows, label = self.lengths(rng, batch), np.arange(batch), np.zeros(batch, np.int64)
        symbols = rng.integers(2, 6, (self.timesteps, batch), dtype=np.int8)
        for tenth in self.tenths:
            bit = rng.integers(0, 2, batch)
            symbols[self.within(rng, lengths, tenth, tenth + 1), rows] = bit
            label = 2 * label + bit
        x = one_hot(symbols, 6, dtype)
        if (padding := self.padding(lengths)) is not None:
            x[padding] = 0
        return self.batch(x, label, lengths)


class TemporalOrder(Ordered):
    """Say in which order two symbols came, long before the end.

    Protocol: six symbols as unit vectors; four of them, c d e f, are distractors drawn uniformly. At one timestep of
    the second tenth of the sequence, [T/10, 2T/10), and one of the fifth, [4T/10, 5T/10), stands A or B with equal
    chance. The class, asked for after the last timestep, is AA, AB, BA or BB (0 to 3). `jitter: 0.1` gives Hochreiter
    and Schmidhuber's lengths, uniform on [T, 11T/10].

    Mistake: any class but the right one. Pascanu calls a run successful when fewer than 1% of held-out sequences are
    wrong (`stop: "error < 0.01"`).

    Chance: a cross-entropy of ln 4 and an error of 3/4.

    >>> batch = next(TemporalOrder(length=20).stream(seed=0, dtype="float32").batches(4))
    >>> batch.x.shape, batch.y.shape
    ((20, 4, 6), (4,))
    """

    source: ClassVar[str] = f"{PASCANU}; {HOCHREITER}"
    tenths: ClassVar[tuple[int, ...]] = (1, 4)

    name: Literal["temporal_order"] = "temporal_order"
