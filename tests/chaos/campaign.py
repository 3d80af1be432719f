"""The cases of the short form and of the long one: the same code, other counts."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from chaos.faulting import NUMBERS, Bench, Outcome
from chaos.forks import Warm
from chaos.outages import PowerBench
from chaos.scenarios import SCENARIOS
from chaos.watched import WATCH

Kind = Literal["operations", "moments", "power"]
MIXED = 4
"""Random mixtures of what a disk may keep, for each moment of a power failure."""
ALL = {**SCENARIOS, WATCH.name: WATCH}


@dataclass(frozen=True)
class Part:
    """Cases of one kind for one command.

    operations: each operation on the disk with each fault. moments: signals at random moments, which may hit what
    SQLite writes. power: each image of the disk that a power failure may leave.

    >>> Part("train", "operations", short=3).count(long=True) is None
    True
    """

    scenario: str
    kind: Kind
    short: int
    long: int | None = None
    """None for all that there are."""

    def __str__(self) -> str:
        return f"{self.scenario}-{self.kind}"

    def count(self, *, long: bool) -> int | None:
        return self.long if long else self.short

    def run(self, warm: Warm, *, long: bool, share: tuple[int, int] = (0, 1)) -> Iterator[Outcome]:
        """The outcomes of a share of the cases: the number of the share, and how many there are."""
        count, (number, shares) = self.count(long=long), share
        kind = PowerBench if self.kind == "power" else Bench
        with contextlib.closing(kind(ALL[self.scenario], warm)) as bench:
            if isinstance(bench, PowerBench):
                cases = [_bound(bench.judge, outage) for outage in bench.outages(MIXED if long else 1)]
            elif self.kind == "operations":
                cases = [_bound(bench.case, *case) for case in bench.cases()]
            else:
                cases = _moments(bench, count or 0)
            for case in _sample(cases, count)[number::shares]:
                yield case()


PARTS = (
    Part("train", "operations", 10),
    Part("train", "moments", 3, 90),
    Part("train", "power", 10),
    Part("resume", "operations", 4),
    Part("resume", "power", 3),
    Part("replace", "operations", 3, 250),
    Part("replace", "power", 2, 150),
    Part("probes", "operations", 3, 250),
    Part("probes", "power", 2, 100),
    Part("fleet", "operations", 3, 250),
    Part("fleet", "power", 3, 150),
    Part("sweep", "operations", 4, 300),
    Part("sweep", "moments", 2, 90),
    Part("sweep", "power", 3, 200),
    Part("local", "operations", 3, 150),
    Part("local", "moments", 1, 60),
    Part("watch", "operations", 5),
    Part("watch", "moments", 2, 60),
    Part("watch", "power", 3),
    Part("report", "operations", 2),
    Part("report", "moments", 1, 30),
    Part("report", "power", 1),
)


def _moments(bench: Bench, count: int) -> list[Callable[[], Outcome]]:
    draw = random.Random(7)
    names = sorted(NUMBERS)
    return [_bound(bench.kick, names[k % len(names)], draw.uniform(0, bench.seconds)) for k in range(count)]


def _bound(function: Callable[..., Outcome], *arguments: Any) -> Callable[[], Outcome]:
    return lambda: function(*arguments)


def _sample(cases: Sequence[Callable[[], Outcome]], count: int | None) -> list[Callable[[], Outcome]]:
    """So many of them, the same each time."""
    chosen = list(cases)
    random.Random(0).shuffle(chosen)
    return chosen[:count]
