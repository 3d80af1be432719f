"""The temporal order problem, with three symbols to remember."""

from __future__ import annotations

from typing import ClassVar, Literal

from rnnlab.tasks.generated import HOCHREITER, PASCANU
from rnnlab.tasks.temporal_order import Ordered


class TemporalOrder3bit(Ordered):
    """Say in which order three symbols came, long before the end.

    Protocol: as in `temporal_order`, with an A or a B at one timestep of each of [T/10, 2T/10), [3T/10, 4T/10) and
    [6T/10, 7T/10); the class is the triple, read as a binary number with A = 0, B = 1 and the first symbol on the left.

    Mistake: any class but the right one. Pascanu calls a run successful when fewer than 1% of held-out sequences are
    wrong (`stop: "error < 0.01"`).

    Chance: a cross-entropy of ln 8 and an error of 7/8.

    >>> batch = next(TemporalOrder3bit(length=20).stream(seed=0, dtype="float32").batches(4))
    >>> batch.x.shape, batch.y.shape
    ((20, 4, 6), (4,))
    """

    source: ClassVar[str] = f"{PASCANU}; {HOCHREITER}"
    tenths: ClassVar[tuple[int, ...]] = (1, 3, 6)

    name: Literal["temporal_order_3bit"] = "temporal_order_3bit"
