"""What each probe costs: the time that it takes to measure one update, against that update itself.

Every probe of rnnlab measures the same update of the addition task, each in a view of its own, so that a replay of
the batch is counted for each that needs one. `python benchmarks/probe_costs.py lstm 20 100 50`, or --quick.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from alternatives import TINY, Update, fleet_of
from measure import ONCE, Patience, take_turns
from options import asked

from rnnlab.gradients.view import UpdateView
from rnnlab.probes import PROBES, Probe
from rnnlab.training.fleet import Fleet

SHAPE = (20, 100, 50)
"""B, T, H."""
TURNS = Patience(turn=0.1, row=60.0, update=60.0)


def costs(cell: str, shape: tuple[int, int, int], patience: Patience) -> dict[str, Any]:
    """Milliseconds of an update and of each probe's measuring, and how many times the update it takes."""
    makers: dict[str, Callable[[], Update]] = {"update": lambda: _updating(fleet_of(cell, *shape))}
    makers |= {name: partial(_measuring, cell, shape, PROBES[name]) for name in PROBES}
    timing = take_turns(makers, patience)
    ratios = {name: timing.ms[name] / timing.ms["update"] for name in PROBES if name in timing.ms}
    B, T, H = shape
    return {
        "cell": cell, "B": B, "T": T, "H": H, "ms": timing.ms, "ratios": ratios, "repeats": timing.repeats,
        "skipped": timing.skipped,
    }  # fmt: skip


def _updating(fleet: Fleet) -> Update:
    """An update that nothing is read of."""

    def update() -> object:
        with fleet.threads():
            return fleet.update()

    return update


def _measuring(cell: str, shape: tuple[int, int, int], kind: type[Probe]) -> Update:
    """One probe's measuring of the same update again, in a new view each time."""
    fleet, probe = fleet_of(cell, *shape), kind(name=kind.key())
    with fleet.threads():
        batch = fleet.compute_gradients()

    def measure() -> object:
        view = UpdateView(0, fleet.network, batch.result, batch.sequences, fleet.objective)
        with fleet.threads():
            measured: Any = probe.measure(view)
            # Some wait for the optimizer's step, and are complete only behind it.
            return probe.rows(view), measured() if callable(measured) else measured

    return measure


def main() -> None:
    sizes = ({"cell": "lstm", **dict(zip("BTH", shape, strict=True))} for shape in (SHAPE, TINY))
    options = asked(__doc__, *sizes)
    patience = ONCE if options.quick else TURNS
    print(json.dumps(costs(options.cell, (options.B, options.T, options.H), patience), indent=2))


if __name__ == "__main__":
    main()
