"""The adding problem."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from rnnlab.tasks.base import Array, Chance
from rnnlab.tasks.generated import HOCHREITER, PASCANU, Marked


class Addition(Marked):
    """Add the two marked numbers of a long sequence.

    Protocol: each timestep brings a number u_t, uniform on [0, 1), and a mark, 0 or 1. Exactly two timesteps are
    marked, i in the first tenth of the sequence and j in the stretch from one tenth to one half. The target, asked for
    after the last timestep, is u_i + u_j (`target: mean` gives Pascanu's (u_i + u_j) / 2). `jitter: 0.1` gives the
    papers' lengths, uniform on [T, 11T/10]. With `marks: halves`, as for the uRNN, i lies anywhere in the first half
    and j in the second.

    Mistake: |output - target| > 0.2, a squared error above 0.04. Pascanu calls a run successful when fewer than 1% of
    held-out sequences are wrong (`stop: "error < 0.01"`); with the sum the same tolerance asks for twice his precision.

    Chance: always answering 1 has a mean squared error of 1/6 and is wrong for 0.64 of the sequences; for the mean,
    always answering 1/2 has 1/24 and 0.36.

    >>> batch = next(Addition(length=20).stream(seed=0, dtype="float32").batches(4))
    >>> batch.x.shape, batch.y.shape
    ((20, 4, 2), (4, 1))
    """

    source: ClassVar[str] = (
        f"{PASCANU}; {HOCHREITER}; `marks: halves`: Arjovsky, Shah and Bengio, Unitary evolution recurrent neural "
        "networks, 2016, arXiv:1511.06464"
    )

    name: Literal["addition"] = "addition"
    target: Literal["sum", "mean"] = Field(
        default="sum", description="what is asked for: the sum of the two numbers, or half of it"
    )

    marks: Literal["tenths", "halves"] = Field(
        default="tenths",
        description="where the marks lie: in the first tenth and from there to the middle, or one in each half (uRNN)",
    )

    @property
    def stretches(self) -> tuple[tuple[int, int], tuple[int, int]]:
        return super().stretches if self.marks == "tenths" else ((0, 5), (5, 10))

    def combine(self, first: Array, second: Array) -> Array:
        return first + second if self.target == "sum" else (first + second) / 2

    def chance(self) -> Chance:
        return Chance(1 / 6, 0.64) if self.target == "sum" else Chance(1 / 24, 0.36)
