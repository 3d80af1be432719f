"""One training update with every timestep's gradient recorded, against what people write by hand.

    make bench          or   python benchmarks/side_by_side.py [--cells lstm,rnn,gru] [--repeats 7] [--fleets 8,32]

A full update is timed: forward, backward, norms of dL/dh_t (and dL/dc_t) at every timestep, clip by norm, Adam.

    rnnlab     this lab, recording on: total and direct norms and percentiles of every timestep, float32, with exponents
    loop       nn.RNNCell / LSTMCell / GRUCell in a loop, retain_grad on every state, norms afterwards
    torch      nn.RNN / nn.LSTM / nn.GRU, plain training; it records nothing
    jax        with_jax.py: a jitted lax.scan; gradients of zero perturbations are the adjoints (where jax is there)

and for fleets, R runs of one shape in one process:

    fleet      this lab, R replicas together
    one by one this lab, R runs in turn
    vmap       jax.vmap over with_jax.py's update

The alternatives take turns within one process, so that whatever else the machine does falls on all of them; figures are
medians. The data (addition's, drawn once) stays outside the clock.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import itertools
import json
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rnnlab.config import Config
from rnnlab.fleet import Fleet
from rnnlab.measure import curves

SHAPES = [(20, 100, 50), (32, 200, 128), (64, 400, 100), (64, 200, 256)]
Update = Callable[[], object]


def lab(cell: str, B: int, T: int, H: int, runs: int = 1) -> Update:
    """This lab, with the adjoint probe at every update, for one run or a fleet."""
    config = Config.model_validate(
        {
            "task": {"name": "addition", "length": T},
            "model": {"cell": cell, "hidden": H, "init": "torch", "recurrent_bias": True},
            "clip": {"name": "norm", "threshold": 1.0},
            "optimizer": {"name": "adam", "lr": 1e-3},
            "train": {"batch": B, "updates": 1},
            "device": "cpu",
        }
    )
    fleet = Fleet(config, range(runs))
    batches = [next(stream) for stream in fleet.streams]
    fleet.streams = [itertools.repeat(batch) for batch in batches]

    def update() -> object:
        with fleet.threads():
            step = fleet.update()
            return curves(fleet.network, step.found, step.lengths)

    return update


class Hand:
    """What the two alternatives share: data, read-out, clip and optimizer."""

    def __init__(self, layer: nn.Module, B: int, T: int, H: int) -> None:
        self.layer, self.readout = layer, nn.Linear(H, 1)
        self.x, self.y = torch.rand(T, B, 2), torch.rand(B, 1)
        self.parameters = [*layer.parameters(), *self.readout.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, 1e-3)

    def finish(self, last: torch.Tensor) -> None:
        nn.functional.mse_loss(self.readout(last), self.y).backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


def loop(cell: str, B: int, T: int, H: int) -> Update:
    """A loop of cells with retain_grad on every state, and the norms afterwards."""
    hand = Hand({"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}[cell](2, H), B, T, H)

    def update() -> object:
        h, c, kept = torch.zeros(B, H), torch.zeros(B, H), []
        for x in hand.x:
            if cell == "lstm":
                h, c = hand.layer(x, (h, c))
                c.retain_grad()
                kept.append(c)
            else:
                h = hand.layer(x, h)
            h.retain_grad()
            kept.append(h)
        hand.finish(h)
        return [state.grad.norm().item() for state in kept]

    return update


def plain(cell: str, B: int, T: int, H: int) -> Update:
    """torch's fused layer, trained and not measured."""
    hand = Hand({"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell](2, H), B, T, H)
    return lambda: hand.finish(hand.layer(hand.x)[0][-1])


def one_by_one(cell: str, B: int, T: int, H: int, runs: int) -> Update:
    """This lab, as many runs in turn; one stands for all, since they cost the same."""
    alone = lab(cell, B, T, H)
    return lambda: [alone() for _ in range(runs)]


SINGLE = {"rnnlab": lab, "loop": loop, "torch": plain}
FLEETS = {"fleet": lab, "one by one": one_by_one}
if importlib.util.find_spec("jax"):
    from with_jax import make_update

    SINGLE["jax"] = make_update
    FLEETS["vmap"] = make_update


def measure(updates: dict[str, Update], repeats: int, seconds: float = 0.2) -> dict[str, float]:
    """Milliseconds an update, the median of repeats that take turns."""
    for update in updates.values():
        update()
        update()
    times: dict[str, list[float]] = {name: [] for name in updates}
    for _ in range(repeats):
        for name, update in updates.items():
            begun, count = time.perf_counter(), 0
            while time.perf_counter() - begun < seconds or not count:
                update()
                count += 1
            times[name].append((time.perf_counter() - begun) / count * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def machine() -> dict[str, object]:
    """What the figures were taken on."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    packages = ["torch", "numba", "numpy", *(["jax"] if "jax" in SINGLE else [])]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }


def table(title: list[str], rows: list[dict[str, Any]], ours: str) -> str:
    """A Markdown table: milliseconds of each alternative, and how many times ours each takes."""
    names = list(rows[0]["ms"])
    others = [name for name in names if name != ours]
    lines = [[*title, *(f"{name} (ms)" for name in names), *(f"{name} / {ours}" for name in others)]]
    lines.append(["---"] * len(title) + ["---:"] * (len(lines[0]) - len(title)))
    for row in rows:
        ms = row["ms"]
        figures = [f"{ms[name]:.3g}" for name in names] + [f"{ms[name] / ms[ours]:.2f}" for name in others]
        lines.append([*map(str, row["of"]), *figures])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", default="lstm,gru,rnn", help="cells, separated by commas")
    parser.add_argument("--repeats", type=int, default=7, help="turns that each alternative gets")
    parser.add_argument("--fleets", default="8,32", help="fleet sizes, separated by commas; empty for none")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    on = machine()
    print(", ".join(f"{key} {value}" for key, value in on.items()), flush=True)
    single, fleets = [], []
    for cell, shape in itertools.product(options.cells.split(","), SHAPES):
        ms = measure({name: make(cell, *shape) for name, make in SINGLE.items()}, options.repeats)
        single.append({"of": [cell, ", ".join(map(str, shape))], "ms": ms})
    print("\n" + table(["cell", "B, T, H"], single, "rnnlab"), flush=True)
    for runs, shape in itertools.product(map(int, filter(None, options.fleets.split(","))), SHAPES[:2]):
        ms = measure({name: make("lstm", *shape, runs) for name, make in FLEETS.items()}, max(1, options.repeats // 2))
        fleets.append({"of": ["lstm", ", ".join(map(str, shape)), runs], "ms": ms})
    if fleets:
        print("\n" + table(["cell", "B, T, H", "runs"], fleets, "fleet"))
    if options.json:
        options.json.write_text(json.dumps({"machine": on, "single": single, "fleets": fleets}, indent=2) + "\n")


if __name__ == "__main__":
    main()
