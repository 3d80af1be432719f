"""`make chaos`: faults, power cuts, damage, hostile input and long runs, with the figures of docs/RELIABILITY.md.

    python tools/run_chaos.py                       everything, about 25 minutes on two cores
    python tools/run_chaos.py damage configs        some sections
    python tools/run_chaos.py --quick               a few cases of each, as `make test` runs them

It ends with 1 where a promise was broken, and says where. The cases are those of tests/chaos.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

Figures = list[tuple[str, str]]
ROOT = Path(__file__).parent.parent


class Section(NamedTuple):
    """A module of tests/chaos whose `run(count)` gives figures, and how many cases it takes."""

    module: str
    cases: int
    quick: int
    divisible: bool = True
    """Whether processes can share the cases."""


SECTIONS = {
    "configs": Section("fuzz_configs", 100_000, 200),
    "damage": Section("damage", 10_000, 20),
    "pairs": Section("pairs", 28, 2, divisible=False),
    "hostile": Section("hostile", 1_000, 20),
    "soak": Section("soak", 10_000, 20, divisible=False),
}
DISTURBANCES = "disturbances"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sections that are named, or all; the exit code."""
    parser = argparse.ArgumentParser(prog="tools/run_chaos.py", description=(__doc__ or "").splitlines()[0])
    names = [DISTURBANCES, *SECTIONS]
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(names)}; without one, all")
    parser.add_argument("--quick", action="store_true", help="a few cases of each")
    options = parser.parse_args(arguments)
    if unknown := set(options.sections) - set(names):
        parser.error(f"there is no section {', '.join(sorted(unknown))}; they are {', '.join(names)}")
    paths = [str(ROOT / "tests"), str(ROOT)]
    sys.path[:0] = paths
    # The processes that the suite starts find its modules in the same places.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [*paths, os.environ.get("PYTHONPATH")]))
    begun, chosen = time.monotonic(), [*dict.fromkeys(options.sections or names)]
    broken = [name for name in chosen if not _quick_holds(name)] if options.quick else _long_broken(chosen)
    print(f"\n{time.monotonic() - begun:,.0f} s in all")
    print(f"\nbroken: {', '.join(broken)}" if broken else "\nevery promise held")
    return 1 if broken else 0


def _quick_holds(name: str) -> bool:
    """Run a few cases of a section, in this process; whether the promises held."""
    _print_title(name)
    if name == DISTURBANCES:
        return _disturbances_hold(["--short"])
    section = SECTIONS[name]
    try:
        figures = _share(section.module, section.quick, 0)
    except AssertionError as error:
        print(f"BROKEN: {error}")
        return False
    _print_figures([figures])
    return True


def _long_broken(names: Sequence[str]) -> list[str]:
    """Run sections at full length; those whose promises did not hold.

    The disturbances have processes of their own. Of all other sections the shares are in one queue, so that no
    processor waits while a section runs that has one share.
    """
    broken = []
    if DISTURBANCES in names:
        _print_title(DISTURBANCES)
        broken += [] if _disturbances_hold([]) else [DISTURBANCES]
    rest = [name for name in names if name != DISTURBANCES]
    processors = os.cpu_count() or 1
    # A fresh process for each share: what it holds and takes is measured, and nothing of another section counts.
    with ProcessPoolExecutor(processors, get_context("spawn"), max_tasks_per_child=1) as pool:
        queue = {name: _submitted(pool, SECTIONS[name], processors) for name in sorted(rest, key=_indivisible_first)}
        for name in rest:
            broken += [] if _ends_well(name, queue[name]) else [name]
    return broken


def _indivisible_first(name: str) -> bool:
    return SECTIONS[name].divisible


def _submitted(pool: Executor, section: Section, processors: int) -> list[Future[Figures]]:
    # Twice as many as processors: one that another section occupies takes fewer of them.
    shares = 2 * processors if section.divisible else 1
    bounds = [section.cases * k // shares for k in range(shares + 1)]
    counts = [last - first for first, last in itertools.pairwise(bounds)]
    return [pool.submit(_share, section.module, count, seed) for seed, count in enumerate(counts)]


def _ends_well(name: str, shares: Sequence[Future[Figures]]) -> bool:
    """Wait for a section and print its figures; whether the promises held."""
    wait(shares)
    _print_title(name)
    # An error that is no AssertionError is the suite's own, or a process that died: the other sections go on.
    errors = [error for share in shares if (error := share.exception())]
    for error in errors:
        print(f"BROKEN: {error}" if isinstance(error, AssertionError) else f"BROKEN: {error!r}", flush=True)
    if not errors:
        _print_figures([share.result() for share in shares])
    return not errors


def _disturbances_hold(options: Sequence[str]) -> bool:
    code: int = importlib.import_module("chaos.disturbances").main(options)
    return code == 0


def _print_title(name: str) -> None:
    print(f"\n## {name}\n", flush=True)


def _print_figures(shares: Sequence[Figures]) -> None:
    rows = [f"| {what} | {figure} |" for what, figure in _merged(shares)]
    print("\n".join(["| | |", "| --- | --- |", *rows]), flush=True)


def _share(module: str, count: int, seed: int) -> Figures:
    """Run so many cases in this process; the figures, and the processor time with that of its children."""
    figures: Figures = importlib.import_module(f"chaos.{module}").run(count, seed)
    times = os.times()
    return [*figures, ("seconds of a processor", str(round(sum(times[:4]))))]


def _merged(shares: Sequence[Figures]) -> Figures:
    """Counts are added; other figures stand beside each other."""
    merged: dict[str, list[str]] = {}
    for what, figure in (pair for share in shares for pair in share):
        merged.setdefault(what, []).append(figure)
    return [(what, _sum(figures)) for what, figures in merged.items()]


def _sum(figures: Sequence[str]) -> str:
    numbers = [figure.replace(",", "") for figure in figures]
    return f"{sum(map(int, numbers)):,}" if all(map(str.isdecimal, numbers)) else "; ".join(figures)


if __name__ == "__main__":
    sys.exit(main())
