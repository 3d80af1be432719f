"""Many tiny runs, one long run and a large page: what they take stays level."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from rnnlab.compare.collection import load_runs
from rnnlab.config import load_config
from rnnlab.progress import Progress
from rnnlab.report.findings import Findings
from rnnlab.report.page import page
from rnnlab.report.page.run import Thinned
from rnnlab.sweeps.driver import train_sweep
from rnnlab.sweeps.engines import Inline
from rnnlab.sweeps.file import load_sweep
from rnnlab.sweeps.results import SweepEvent, SweepOptions
from rnnlab.training.loop import train

MORE = 64 * 2**20
"""Bytes that a process may hold more at the end than in the middle."""
MOST_ON_A_PAGE = 2000
TINY: dict[str, Any] = {
    "task": {"name": "addition", "length": 10},
    "model": {"cell": "rnn", "hidden": 3},
    "train": {"updates": 2, "batch": 2, "evaluate_size": 4, "log_every": 0},
    "probe": {"schedule": [0]},
    "device": "cpu",
}


class Level:
    """What this process holds in the middle of something and at its end: memory, open files and threads."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.marks: list[tuple[float, int, int, int]] = []

    def mark(self) -> None:
        process = self._process
        held = process.memory_info().rss, process.num_fds(), process.num_threads()
        self.marks.append((time.perf_counter(), *held))

    def figures(self, name: str, count: int) -> Iterator[tuple[str, str]]:
        """Time of the second half against the first, and what is held; raises AssertionError where that grows."""
        (begun, *_), (halfway, memory, files, threads), (ended, later, more_files, more_threads) = self.marks
        first, second = halfway - begun, ended - halfway
        assert later - memory < MORE, f"{name}: {later - memory:,} bytes more after the second half"
        assert more_files <= files + 2, f"{name}: {more_files} open files, and {files} in the middle"
        assert more_threads <= threads + 2, f"{name}: {more_threads} threads, and {threads} in the middle"
        yield (
            name,
            f"{count:,} in {ended - begun:,.0f} s; the second half took {second / first:.2f} of the first's time",
        )
        yield f"{name}, memory", f"{later / 2**20:,.0f} MiB, {(later - memory) / 2**20:+,.1f} in the second half"
        yield f"{name}, open files", f"{more_files}, {more_files - files:+} in the second half"


def run(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """A sweep of so many runs, a run of ten times as many updates, a page over the runs; the figures."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        runs = Path(folder, "runs")
        return [
            *_sweep(count, seed, runs),
            *_long_run(10 * count, Path(folder, "long")),
            *_page(runs),
        ]


def _sweep(count: int, seed: int, out: Path) -> Iterator[tuple[str, str]]:
    level, ended = Level(), 0

    def on_event(event: SweepEvent) -> None:
        nonlocal ended
        if event.event and event.event.kind == "run_ended":
            ended += 1
            if ended == max(1, count // 2):
                level.mark()

    sweep = load_sweep({"base": TINY, "seeds": list(range(seed, seed + count))})
    level.mark()
    result = train_sweep(sweep, Inline(), SweepOptions(out=out), on_event)
    level.mark()
    assert (result.completed, result.runs) == (count, count), result
    yield from level.figures("runs of a sweep", count)


def _long_run(updates: int, out: Path) -> Iterator[tuple[str, str]]:
    level = Level()

    def observe(progress: Progress) -> None:
        if len(level.marks) == 1 and progress.fraction >= 0.5:
            level.mark()

    sets = [f"train.updates={updates}", "train.log_every=10", "train.evaluate_every=1000", "train.checkpoint_seconds=1"]
    level.mark()
    run = train(load_config(TINY, [*sets, "probe.schedule=log", "name=long"]), out=out, observe=observe)
    level.mark()
    assert run.status == "completed", run
    yield from level.figures("updates of a run", updates)


def _page(out: Path) -> Iterator[tuple[str, str]]:
    """A page, twice: the second time nothing more is held."""
    runs, level = load_runs(out)[:MOST_ON_A_PAGE], Level()
    level.mark()
    for _ in range(2):
        groups = runs.group_by("model.cell")
        thinned = Thinned(groups)
        text = page(Findings(groups, on_readings=thinned.add), thinned)
        level.mark()
    yield from level.figures("runs on a page, twice", len(runs))
    yield "size of the page", f"{len(text.encode()) / 2**20:,.1f} MiB on {os.cpu_count()} processors"
