"""An update whose gradient vanishes against one whose gradient does not, at the same shape.

A true gradient that falls to 1e-200 passes through the subnormal numbers of float32, which processors are slow with,
on its way to zero. The lab carries exponents, so nothing of it should cost anything; the loop of torch's cells gets the
very same weights. `python benchmarks/vanishing.py lstm 32 400 128`, or --quick.
"""

from __future__ import annotations

import json
from typing import Any

from alternatives import TINY, Update, fleet_of, loop, updating
from measure import ONCE, Patience, take_turns
from options import asked

SHAPE = (32, 400, 128)
"""B, T, H."""

STILL = 1e-12
"""A learning rate that leaves the weights as they start: Adam would soon train the vanishing away."""


def starts(cell: str, T: int) -> dict[str, dict[str, Any]]:
    """Initializations of both kinds: orthogonal recurrent weights, gated cells that forget or that remember."""
    forgets = {"name": "constant", "value": -1.5}
    remembers = {"name": "chrono", "t_max": T}

    def init(gain: float, bias: dict[str, Any]) -> dict[str, Any]:
        gated = {} if cell == "rnn" else {"bias": bias, "recurrent_bias": {"name": "zeros"}}
        return {"preset": "torch", "recurrent": {"name": "orthogonal", "gain": gain}, **gated}

    return {"healthy": init(1.0, remembers), "vanishing": init(0.3, forgets)}


def healthy(cell: str, B: int, T: int, H: int, runs: int = 1) -> Update:
    """This lab where no gradient vanishes, so that no row is too small to count and every product is done."""
    return updating(fleet_of(cell, B, T, H, runs, starts(cell, T)["healthy"], STILL))


def compare(cell: str, shape: tuple[int, int, int], patience: Patience) -> dict[str, Any]:
    """Milliseconds of both in the lab and in the loop, and how far dL/dh has fallen at the first timestep."""
    makers, first = {}, {}
    for kind, init in starts(cell, shape[1]).items():
        fleet = fleet_of(cell, *shape, init=init, lr=STILL)
        first[kind] = _first(updating(fleet))
        makers[f"rnnlab, {kind}"] = lambda fleet=fleet: updating(fleet)
        makers[f"loop, {kind}"] = lambda fleet=fleet: loop(cell, *shape, like=fleet)
    timing = take_turns(makers, patience)
    ratios = {name: timing.ms[f"{name}, vanishing"] / timing.ms[f"{name}, healthy"] for name in ("rnnlab", "loop")}
    B, T, H = shape
    return {
        "cell": cell, "B": B, "T": T, "H": H, "log10_norm": first, "ms": timing.ms, "ratios": ratios,
        "repeats": timing.repeats,
    }  # fmt: skip


def _first(update: Update) -> float:
    """log10 of the norm of dL/dh_0."""
    curves: Any = update()
    (curve,) = (curve for curve in curves[0] if curve.state == "h")
    return float(curve.columns["log10_norm"][0])


def main() -> None:
    sizes = ({"cell": "lstm", **dict(zip("BTH", shape, strict=True))} for shape in (SHAPE, TINY))
    options = asked(__doc__, *sizes)
    patience = ONCE if options.quick else Patience()
    print(json.dumps(compare(options.cell, (options.B, options.T, options.H), patience), indent=2))


if __name__ == "__main__":
    main()
