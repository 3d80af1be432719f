"""What the lab's speed and memory are to reach, each judged by the figures in results.json."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]

NOISE = 1.05
"""Two medians of the same work differ by this much."""


@dataclass(frozen=True)
class Verdict:
    """A target, whether it is reached, and the figure that is nearest to missing it or furthest from it."""

    what: str
    reached: str
    worst: str


def targets(results: dict[str, Any]) -> Iterator[Verdict]:
    """Every target, in the order of the page."""
    single, fleets, memory, vanishing = (
        results.get(name, {}).get("rows", []) for name in ("single", "fleets", "memory", "vanishing")
    )
    usual, larger = [row for row in single if row["H"] == 50], [row for row in single if row["H"] > 50]
    many = [row for row in fleets if row["H"] == 50 and row["runs"] >= 32]
    small = [row for row in many if row["runs"] == 32 and row["cell"] == "lstm"]
    enough = [row for row in fleets if row["H"] >= 50]
    long = [row for row in memory if row["T"] >= 10_000]
    yield at_least(2, "one run: at least 2 times as fast as the loop", single, ratio("loop", "loop, flushed"))
    layers = ratio("torch", "torch, flushed")
    yield at_least(1, "one run: not slower than torch's layers, which record nothing", single, layers)
    yield at_least(1, "one run: not slower than jax", single, ratio("jax"))
    yield at_least(1.5, "one run from 20, 100, 50 on: at least 1.5 times as fast as jax", usual + larger, ratio("jax"))
    yield at_most(3, "one run at 20, 100, 50: at most 3 times its products (healthy)", usual, ratio("floor"))
    yield at_most(2, "one run beyond that: at most 2 times its products (healthy)", larger, ratio("floor"))
    yield at_least(1, "fleets: not slower than vmap", fleets, ratio("vmap"))
    yield at_least(4, "32 runs at 20, 100, 50: at least 4 times as fast as one by one", small, ratio("one by one"))
    yield at_least(2, "32 runs at 20, 100, 50: at least 2 times as fast as vmap", small, ratio("vmap"))
    yield at_most(2, "32 and 128 runs at 20, 100, 50: at most 2 times their products (healthy)", many, ratio("floor"))
    yield at_most(2.5, "fleets from 20, 100, 50 on: at most 2.5 times their products", enough, ratio("floor"))
    yield at_most(4, "10,000 timesteps (B 32, H 128) within 4 GiB", long, lambda row: row["peak"] / 2**30, " GiB")
    yield at_most(NOISE, "a vanishing gradient costs no time (within 5%)", vanishing, ratio("rnnlab"))
    watched = results.get("watch", {}).get("rows", [])
    yield at_most(0.01, "watch: hooks, timed by themselves, at most 1% of an update", watched, hooks, digits=4)
    yield at_most(2.3, "watch: a recorded update at most 2.3 times an unwatched one", watched, ratio("recorded"))


def hooks(row: Row) -> float | None:
    return float(row["hooks"] / 1e3 / row["ms"]["unwatched"])


def ratio(*names: str) -> Callable[[Row], float | None]:
    """Of these alternatives, the one that comes nearest to the lab: with subnormal numbers flushed or without."""
    return lambda row: min((row["ratios"][name] for name in names if name in row["ratios"]), default=None)


def at_least(bound: float, what: str, rows: list[Row], figure: Callable[[Row], float | None]) -> Verdict:
    figures = measured(rows, figure)
    return verdict(what, min(figures, key=lambda one: one[0], default=None), lambda value: value >= bound)


def at_most(
    bound: float, what: str, rows: list[Row], figure: Callable[[Row], float | None], unit: str = "", digits: int = 2
) -> Verdict:
    figures = measured(rows, figure)
    return verdict(what, max(figures, key=lambda one: one[0], default=None), lambda value: value <= bound, unit, digits)


def measured(rows: list[Row], figure: Callable[[Row], float | None]) -> list[tuple[float, Row]]:
    return [(value, row) for row in rows if (value := figure(row)) is not None]


def verdict(
    what: str, worst: tuple[float, Row] | None, holds: Callable[[float], bool], unit: str = "", digits: int = 2
) -> Verdict:
    if worst is None:
        return Verdict(what, "not measured", "-")
    value, row = worst
    where = f"{row['cell']} {row['B']}, {row['T']}, {row['H']}" + (f", {row['runs']} runs" if "runs" in row else "")
    return Verdict(what, "yes" if holds(value) else "no", f"{value:.{digits}f}{unit} ({where})")
