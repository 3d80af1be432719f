"""One training update with every timestep's gradient recorded, against what people use instead, and against its floor.

    make bench      or   python benchmarks/run.py [--only single,fleets,memory,growth,...] [--quick]

single      at five shapes: this lab, recording on | loop: nn.LSTMCell in a loop with retain_grad on every state, norms
            afterwards | torch: nn.LSTM, plain training that records nothing | jax: a jitted lax.scan with perturbations
            (where jax is there: pip install -e '.[bench]') | products: a bare loop of the recurrent products. loop and
            torch once more with subnormal numbers flushed to zero, in processes of their own
fleets      R runs in one process: this lab on the replica axis | its runs one by one | loops one by one | jax.vmap |
            products. The two "one by one" are one run's time, times R
            healthy, in both, is this lab where no gradient vanishes: rows too small to count are not multiplied, and
            the floor multiplies them all, so that this one is held against it
memory      peak resident memory of training with recording, against T, and at 10,000 timesteps
vanishing   an update whose gradient vanishes against one whose gradient does not
sweeps      planning, training and finding 100, 1,000 and 10,000 runs of one update
reports     a report over ten million rows of gradients, and its page; a list and a report of 10,000 runs
growth      the exponents that time and memory grow with, in T, B, H and R
probes      what each probe takes to measure an update, against that update
watch       torch's own layers in a loop of torch: unwatched | watched and not recorded | recorded at every update

The alternatives take turns within one process, so that whatever else the machine does falls on all of them; figures are
medians. Tables go to stdout, progress to stderr. A whole run writes its figures to benchmarks/results.json, and
`python benchmarks/write.py` makes docs/BENCHMARKS.md of them. With --quick or --cells nothing is written but by --json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import growth
import memory
import probe_costs
import reading
import scale
import vanishing
import watch
from alternatives import HAS_JAX, SHAPES, SMALL, TINY, Update, jax_scan, lab, loop, plain
from floor import lab_products, torch_products
from flushed import MAKERS, can_flush, flushed
from measure import ONCE, Patience, Timing, machine, take_turns
from write import RESULTS, tables, target_table

FLEETS = [
    *itertools.product(["lstm"], [(20, 100, 50), (32, 200, 128)], [8, 32, 128]),
    *itertools.product(["rnn"], [(20, 100, 50)], [32, 128]),
    *itertools.product(["lstm", "gru", "rnn"], [SMALL], [32]),
]
"""Cell, B, T, H, runs."""
FLOORS: dict[str, Callable[..., Update]] = {"products, torch": torch_products, "products, lab": lab_products}
UNDER = {"healthy": vanishing.healthy, **FLOORS}
SINGLE: dict[str, Callable[..., Update]] = {"rnnlab": lab, "loop": loop, "torch": plain}
SINGLE |= {"jax": jax_scan} if HAS_JAX else {}
SINGLE |= {f"{name}, flushed": partial(flushed, name) for name in MAKERS} if can_flush() else {}
SECTIONS = ("single", "fleets", "memory", "growth", "vanishing", "sweeps", "reports", "probes", "watch")
REPORTS = [(50, 100, 200), (500, 100, 200), (10_000, 1, 10)]
"""Runs, updates, timesteps."""
MEMORY = [*SHAPES, *((32, T, 128) for T in (500, 1000, 2000, 4000)), (32, 10_000, 128)]

Row = dict[str, Any]


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


class Bench:
    """The sections, each a list of rows."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.quick = options.quick
        self.cells = options.cells.split(",") if options.cells else None
        few = ONCE if self.quick else Patience()
        self.patience = Patience(options.repeats or few.repeats, few.turn)

    def single(self) -> list[Row]:
        rows = []
        for cell, shape in itertools.product(
            self.cells or ["lstm", "gru", "rnn"], [TINY] if self.quick else [SMALL, *SHAPES]
        ):
            begun = time.perf_counter()
            makers = {name: partial(make, cell, *shape) for name, make in (SINGLE | UNDER).items()}
            timing = take_turns(makers, self.patience)
            rows.append(row({"cell": cell, **sizes(shape)}, timing.ms, timing, "rnnlab"))
            told(f"{cell} {shape}", rows[-1], begun)
        return rows

    def fleets(self) -> list[Row]:
        rows = []
        chosen = itertools.product(self.cells or ["lstm"], [TINY], [4])
        for cell, shape, runs in chosen if self.quick else FLEETS:
            if self.cells and cell not in self.cells:
                continue
            begun = time.perf_counter()
            together = {"fleet": lab, **({"vmap": jax_scan} if HAS_JAX else {}), **UNDER}
            makers = {name: partial(make, cell, *shape, runs) for name, make in together.items()}
            alone = {"one by one": partial(lab, cell, *shape), "loop, one by one": partial(loop, cell, *shape)}
            timing = take_turns(makers | alone, self.patience)
            ms = {name: value * (runs if name in alone else 1) for name, value in timing.ms.items()}
            rows.append(row({"cell": cell, **sizes(shape), "runs": runs}, ms, timing, "fleet"))
            told(f"{cell} {shape}, {runs} runs", rows[-1], begun)
        return rows

    def memory(self) -> list[Row]:
        rows = []
        shapes = [TINY] if self.quick else MEMORY
        for cell, shape in itertools.product(self.cells or ["lstm"], shapes):
            begun = time.perf_counter()
            rows.append(memory.measure(cell, *shape))
            say(f"  {cell} {shape}: peak {rows[-1]['peak'] / 2**20:.0f} MiB   [{time.perf_counter() - begun:.0f} s]")
        return rows

    def growth(self) -> list[Row]:
        rows = []
        for cell in self.cells or ["lstm", "gru", "rnn"]:
            begun = time.perf_counter()
            rows += (measured := growth.measure(cell, self.quick))
            fits = ", ".join(f"{row['of']}^{row['exponents']['time']['all']:.2f}" for row in measured)
            say(f"  {cell}: time {fits}   [{time.perf_counter() - begun:.0f} s]")
        return rows

    def vanishing(self) -> list[Row]:
        rows = []
        for cell in self.cells or ["lstm", "gru", "rnn"]:
            begun = time.perf_counter()
            rows.append(vanishing.compare(cell, TINY if self.quick else vanishing.SHAPE, self.patience))
            told(cell, rows[-1], begun)
        return rows

    def sweeps(self) -> list[Row]:
        rows = []
        for runs in scale.QUICK.values() if self.quick else (100, 1_000, 10_000):
            rows.append(scale.measure(runs))
            say(f"  {runs} runs: " + ", ".join(f"{name} {rows[-1][name]['s']:.3g} s" for name in scale.STAGES))
        return rows

    def reports(self) -> list[Row]:
        rows = []
        for size in [tuple(reading.QUICK.values())] if self.quick else REPORTS:
            rows.append(reading.measure(*size))
            seconds = {name: one["s"] for name, one in rows[-1].items() if isinstance(one, dict)}
            say(f"  {size[0]} runs: " + ", ".join(f"{name} {value:.3g} s" for name, value in seconds.items()))
        return rows

    def probes(self) -> list[Row]:
        rows, patience = [], ONCE if self.quick else probe_costs.TURNS
        for cell in self.cells or ["lstm", "gru", "rnn"]:
            begun = time.perf_counter()
            rows.append(probe_costs.costs(cell, TINY if self.quick else probe_costs.SHAPE, patience))
            told(cell, rows[-1], begun)
        return rows

    def watch(self) -> list[Row]:
        rows, patience = [], watch.QUICK if self.quick else watch.TURNS
        for cell, shape in itertools.product(self.cells or ["lstm", "gru", "rnn"], [TINY] if self.quick else SHAPES):
            begun = time.perf_counter()
            rows.append(watch.compare(cell, shape, patience))
            told(f"{cell} {shape}", rows[-1], begun)
        return rows


def sizes(shape: tuple[int, int, int]) -> Row:
    return dict(zip(("B", "T", "H"), shape, strict=True))


def row(of: Row, ms: dict[str, float], timing: Timing, ours: str) -> Row:
    """Medians, how many times ours each alternative takes, and how many times the lower floor a healthy update does."""
    floor = min(FLOORS, key=lambda name: ms[name])
    ratios = {name: value / ms[ours] for name, value in ms.items() if name != ours and name not in UNDER}
    ratios["floor"] = ms["healthy"] / ms[floor]
    return {**of, "ms": ms, "ratios": ratios, "floor": floor, "repeats": timing.repeats, "skipped": timing.skipped}


def told(what: str, row: Row, begun: float) -> None:
    figures = ", ".join(f"{name} {ms:.4g}" for name, ms in row["ms"].items())
    skipped = "".join(f", {name} left out at {seconds:.0f} s" for name, seconds in row.get("skipped", {}).items())
    say(f"  {what}: {figures} ms{skipped}   [{time.perf_counter() - begun:.0f} s, {row['repeats']} turns]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, separated by commas")
    parser.add_argument("--cells", help="cells, separated by commas; default all, and lstm for memory")
    parser.add_argument("--repeats", type=int, help="turns that each alternative gets at most (default 7)")
    parser.add_argument("--quick", action="store_true", help="the smallest shapes, once: does it run at all?")
    parser.add_argument("--json", type=Path, help="where the figures go (default benchmarks/results.json)")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := [name for name in chosen if name not in SECTIONS]:
        parser.error(f"--only: there is no section {', '.join(unknown)}")
    if not HAS_JAX:
        say("jax is not installed, so nothing is compared with it (pip install -e '.[bench]')")
    into = options.json or (None if options.quick or options.cells else RESULTS)
    held = json.loads(into.read_text(encoding="utf-8")) if into and into.exists() else {}
    bench, begun = Bench(options), time.perf_counter()
    for name in chosen:
        say(f"{name}:")
        held[name] = {"on": machine(), "rows": getattr(bench, name)()}
        print(f"{tables(held)[name]}\n", flush=True)
        if into:
            into.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    print(target_table(held), flush=True)
    say(f"{time.perf_counter() - begun:.0f} s in all" + (f"; the figures are in {into}" if into else ""))


if __name__ == "__main__":
    main()
