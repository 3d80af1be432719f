"""The multiplication problem."""

from __future__ import annotations

from math import log
from typing import ClassVar, Literal

from rnnlab.tasks.base import Array, Chance
from rnnlab.tasks.generated import HOCHREITER, PASCANU, Marked


class Multiplication(Marked):
    """Multiply the two marked numbers of a long sequence.

    Protocol: as in `addition` (a number uniform on [0, 1) and a mark at each timestep; one mark in the first tenth of
    the sequence, one from there to its middle; `jitter: 0.1` gives the papers' lengths), with the target u_i u_j.

    Mistake: |output - target| > 0.2, a squared error above 0.04. Pascanu calls a run successful when fewer than 1% of
    held-out sequences are wrong (`stop: "error < 0.01"`).

    Chance: always answering 1/4 has a mean squared error of 7/144 and, as P(u_i u_j < z) = z (1 - ln z), is wrong for
    1 + F(0.05) - F(0.45) = 0.39 of the sequences.

    >>> batch = next(Multiplication(length=20).stream(seed=0, dtype="float32").batches(4))
    >>> batch.x.shape, batch.y.shape
    ((20, 4, 2), (4, 1))
    """

    source: ClassVar[str] = f"{PASCANU}; {HOCHREITER}"

    name: Literal["multiplication"] = "multiplication"

    def combine(self, first: Array, second: Array) -> Array:
        return first * second

    def chance(self) -> Chance:
        return Chance(7 / 144, 1 + _below(0.05) - _below(0.45))


def _below(z: float) -> float:
    """P(u v < z) for u and v uniform on [0, 1]."""
    return z * (1 - log(z))
