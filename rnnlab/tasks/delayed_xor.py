"""The delayed exclusive or."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike

from rnnlab.tasks.base import Batch
from rnnlab.tasks.delayed import Delayed


class DelayedXor(Delayed):
    """Say whether two bits of some timesteps ago differed: memory, and something that is not linear in it.

    Protocol: at each of T timesteps a bit u_t, drawn with equal chance and shown as -1 or 1. The target at t is
    u_{t - delay} xor u_{t - delay - 1}; bits before the first count as 0.

    Mistake: the wrong one of two classes.

    Chance: before t = `delay` the answer is 0; from there on a guess has a cross-entropy of ln 2 and an error of 1/2.

    >>> batch = next(DelayedXor(length=7, delay=2).stream(seed=0, dtype="float32").batches(1))
    >>> batch.x[:, 0, 0], batch.y[:, 0]
    (array([-1.,  1., -1.,  1., -1.,  1., -1.], dtype=float32), array([0, 0, 0, 1, 1, 1, 1]))
    """

    inputs: ClassVar[int] = 1
    outputs: ClassVar[int] = 2
    source: ClassVar[str] = (
        "Bertschinger and Natschlaeger, Real-time computation at the edge of chaos in recurrent neural networks, 2004, "
        "doi:10.1162/089976604323057443"
    )

    name: Literal["delayed_xor"] = "delayed_xor"

    @property
    def answers(self) -> int:
        return 2

    def draw(self, rng: np.random.Generator, batch: int, dtype: DTypeLike) -> Batch:
        bits = rng.integers(0, 2, (self.length, batch))
        differ = bits ^ np.concatenate([np.zeros_like(bits[:1]), bits[:-1]])
        return Batch((2 * bits - 1)[..., None].astype(dtype), self.late(differ, before=0))
