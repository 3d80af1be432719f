"""One training update with every timestep's gradient recorded, against what people write by hand.

    make bench          or   python benchmarks/side_by_side.py [--cells lstm,rnn,gru] [--repeats 7] [--json FILE]

A full update is timed: forward, backward, norms of dL/dh_t (and dL/dc_t) at every timestep, clip by norm, Adam.

    rnnlab     this lab, recording on: total and direct norms and percentiles of every timestep, float32, with exponents
    loop       nn.RNNCell / LSTMCell / GRUCell in a loop, retain_grad on every state, norms afterwards
    torch      nn.RNN / nn.LSTM / nn.GRU, plain training; it records nothing

The alternatives take turns within one process, so that whatever else the machine does falls on all of them; figures are
medians. The addition task's data is drawn once, outside the clock.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numba
import numpy as np
import torch
from torch import nn

from rnnlab.config import Config
from rnnlab.fleet import Fleet
from rnnlab.measure import curves

SHAPES = [(20, 100, 50), (32, 200, 128), (64, 400, 100), (64, 200, 256)]
Update = Callable[[], object]


def lab(cell: str, B: int, T: int, H: int) -> Update:
    """This lab, with the adjoint probe at every update."""
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
    fleet = Fleet(config, [0])
    batch = next(fleet.streams[0])
    fleet.streams = [iter(lambda: batch, None)]

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


ALTERNATIVES = {"rnnlab": lab, "loop": loop, "torch": plain}


def measure(cell: str, shape: tuple[int, int, int], repeats: int) -> dict[str, float]:
    """Milliseconds an update, the median of repeats that take turns."""
    updates = {name: make(cell, *shape) for name, make in ALTERNATIVES.items()}
    for update in updates.values():
        update()
        update()
    times: dict[str, list[float]] = {name: [] for name in updates}
    for _ in range(repeats):
        for name, update in updates.items():
            begun, count = time.perf_counter(), 0
            while time.perf_counter() - begun < 0.15 or not count:
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
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numba": numba.__version__,
        "numpy": np.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", default="lstm,gru,rnn")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    on, rows = machine(), []
    print(", ".join(f"{key} {value}" for key, value in on.items()) + "\n")
    names = "rnnlab, recording (ms) | loop, retain_grad (ms) | nn layer, no recording (ms)"
    print(f"| cell | B, T, H | {names} | loop / rnnlab | nn / rnnlab |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for cell in options.cells.split(","):
        for shape in SHAPES:
            ms = measure(cell, shape, options.repeats)
            rows.append({"cell": cell, "shape": shape, "ms": ms})
            ratios = f"{ms['loop'] / ms['rnnlab']:.1f} | {ms['torch'] / ms['rnnlab']:.2f}"
            figures = " | ".join(f"{ms[name]:.2f}" for name in ALTERNATIVES)
            print(f"| {cell} | {', '.join(map(str, shape))} | {figures} | {ratios} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"machine": on, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
