"""How time and memory of an update grow with T, B, H and R: a fitted exponent for each.

One size is varied and the others stay; y = a x^p is fitted to the medians by least squares of log y on log x. The
exponent over the two largest sizes stands beside it, where what an update costs whatever its size counts least. Memory
is the bytes of the buffers that a fleet holds and that one update finds. `python benchmarks/growth.py lstm` or --quick.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import memory
import numpy as np
from alternatives import Update, fleet_of, updating
from measure import ONCE, Patience, take_turns
from options import asked

from rnnlab.training.fleet import Fleet

BASE = {"B": 20, "T": 100, "H": 50, "R": 1}
SIZES = {
    "T": (100, 300, 1_000, 3_000, 10_000),
    "B": (8, 16, 32, 64, 128, 256),
    "H": (16, 32, 64, 128, 256),
    "R": (1, 4, 16, 64, 128),
}
QUICK_BASE = {"B": 4, "T": 20, "H": 8, "R": 1}
QUICK_SIZES = {"T": (20, 40), "B": (4, 8), "H": (8, 16), "R": (1, 2)}

Row = dict[str, Any]


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """The p of y = a x^p: the slope of log y on log x by least squares.

    >>> exponent([1, 2, 4], [3, 12, 48])
    2.0
    """
    return float(round(np.polyfit(np.log(x), np.log(y), 1)[0], 9))


def measure(cell: str, quick: bool = False) -> list[Row]:
    """A row for each size that is varied: values, milliseconds, bytes, and the exponents of both."""
    base, sizes = (QUICK_BASE, QUICK_SIZES) if quick else (BASE, SIZES)
    patience = ONCE if quick else Patience(row=8.0)
    return [_row(cell, name, base, values, patience) for name, values in sizes.items()]


def _row(cell: str, name: str, base: dict[str, int], values: Sequence[int], patience: Patience) -> Row:
    ms, held = [], []
    for value in values:
        sizes = base | {name: value}
        make = partial(fleet_of, cell, sizes["B"], sizes["T"], sizes["H"], sizes["R"])
        ms.append(take_turns({"rnnlab": partial(_update, make)}, patience).ms["rnnlab"])
        held.append(_bytes(make()))
    fits = {kind: {"all": exponent(values, y), "last": exponent(values[-2:], y[-2:])} for kind, y in
            (("time", ms), ("memory", held))}  # fmt: skip
    assert all(math.isfinite(fit) for both in fits.values() for fit in both.values())
    return {"cell": cell, "of": name, "base": base, "values": list(values), "ms": ms, "bytes": held, "exponents": fits}


def _update(make: Callable[[], Fleet]) -> Update:
    return updating(make())


def _bytes(fleet: Fleet) -> int:
    with fleet.threads():
        return memory.size(fleet, fleet.compute_gradients())


def main() -> None:
    options = asked(__doc__, {"cell": "lstm"}, {"cell": "lstm"})
    print(json.dumps({"rows": measure(options.cell, options.quick)}, indent=2))


if __name__ == "__main__":
    main()
