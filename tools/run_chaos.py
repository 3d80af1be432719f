"""`make chaos`: faults, power cuts, damage, hostile input and long runs, with the figures of docs/RELIABILITY.md.

    python tools/run_chaos.py                       everything, about 45 minutes on two cores
    python tools/run_chaos.py damage configs        some sections
    python tools/run_chaos.py --quick               a few cases of each, as `make test` runs them

It ends with 1 where a promise was broken, and says where. The cases are those of tests/chaos.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
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
    broken = [name for name in options.sections or names if not _holds(name, options.quick)]
    print(f"\nbroken: {', '.join(broken)}" if broken else "\nevery promise held")
    return 1 if broken else 0


def _holds(name: str, quick: bool) -> bool:
    """Run a section and print its figures; whether the promises held."""
    print(f"\n## {name}\n", flush=True)
    begun = time.monotonic()
    if name == DISTURBANCES:
        code: int = importlib.import_module("chaos.disturbances").main(["--short"] if quick else [])
        return code == 0
    section = SECTIONS[name]
    try:
        figures = _quick(section) if quick else _long(section)
    except AssertionError as error:
        print(f"BROKEN: {error}")
        return False
    print("\n".join(["| | |", "| --- | --- |", *(f"| {what} | {figure} |" for what, figure in figures)]))
    print(f"\n{time.monotonic() - begun:,.0f} s", flush=True)
    return True


def _quick(section: Section) -> Figures:
    return _share(section.module, section.quick, 0)


def _long(section: Section) -> Figures:
    processes = (os.cpu_count() or 1) if section.divisible else 1
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        shares = pool.map(
            _share, [section.module] * processes, [section.cases // processes] * processes, range(processes)
        )
        return _merged([*shares])


def _share(module: str, count: int, seed: int) -> Figures:
    figures: Figures = importlib.import_module(f"chaos.{module}").run(count, seed)
    return figures


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
