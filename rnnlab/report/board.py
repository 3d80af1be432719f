"""How far a sweep has come: what its events add up to, as one line and as a table. Nothing here prints."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rnnlab.report.formatting import format_duration, format_number

if TYPE_CHECKING:
    from rnnlab.jobs import Event, Job
    from rnnlab.survey import SweepStatus
    from rnnlab.sweep_results import SweepEvent

_MOST_ROWS = 12


class Board:
    """Counts runs by how they stand, and keeps where each fleet is that trains."""

    def __init__(self, name: str, *, workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self._workers, self._clock = name or "sweep", workers, clock
        self.runs = 0
        self.count: Counter[str] = Counter()
        self.running: dict[int, Job] = {}
        self.latest: dict[int, Event] = {}
        self._ended: dict[int, set[str]] = {}
        self._costs = {"all": 0.0, "done": 0.0}
        self._begun: float | None = None

    def add(self, event: SweepEvent) -> None:
        """Take account of an event."""
        if event.status is not None:
            self.runs = event.status.runs
            self.count = Counter(entry.status for entry in [*event.status.done, *event.status.failed])
            self._begun = self._begun or self._clock()
            self._costs["all"] = self._costs["done"] + sum(job.cost for job in event.planned)
        if event.event is not None and event.job is not None:
            self._add(event.event, event.job)

    def _add(self, event: Event, job: Job) -> None:
        if event.kind == "started":
            self.running[job.number], self._ended[job.number] = job, set()
        elif event.kind == "progress":
            self.latest[job.number] = event
        elif event.kind == "run_ended":
            self.count[event.status] += 1
            self._ended[job.number].add(event.run)
        elif event.is_final:
            self.running.pop(job.number, None)
            self.latest.pop(job.number, None)
            self._costs["done"] += job.cost if event.kind == "done" else 0.0
            self.count["failed"] += event.kind == "raised" and len(job.runs) == 1

    def seconds_left(self) -> float | None:
        """By what has been done so far, and at first by what the runs are thought to cost; None before it begins."""
        if self._begun is None:
            return None
        done = self._costs["done"] + sum(job.cost * self._share(number) for number, job in self.running.items())
        spent, left = self._clock() - self._begun, max(0.0, self._costs["all"] - done)
        sure = spent > 10 and done > 0.02 * self._costs["all"]
        return left * spent / done if sure else left / self._workers

    def _share(self, number: int) -> float:
        event = self.latest.get(number)
        return event.update / event.updates if event and event.updates else 0.0

    def opening(self, status: SweepStatus, planned: Sequence[Job]) -> str:
        """What is about to be trained, and what is there already."""
        new, fleets = len(status.missing) - status.interrupted, len(planned)
        counts = dict(self.count) | {"being trained by another process": len(status.running)}
        there = counted(counts | {"interrupted": status.interrupted, "new": new})
        runs = sum(len(job.runs) for job in planned)
        return f"{self.name}: {self.runs:,} runs: {there}; to train: {runs:,} in {fleets:,} fleet{'s' * (fleets != 1)}"

    def line(self) -> str:
        """One line: how many runs stand how, and the time left."""
        done = self.count["completed"] + self.count["diverged"]
        running = sum(len(job.runs) - len(self._ended[number]) for number, job in self.running.items())
        left = self.seconds_left()
        words = [f"{self.name}: {done}/{self.runs} runs done", f"{running} running", f"{self.count['failed']} failed"]
        words += [f"{self.count['diverged']} diverged"]
        return ", ".join(words) + (f"; left {format_duration(left)}" if left is not None else "")

    def table(self) -> RenderableType:
        """The line, and below it a row for each fleet that trains."""
        if not self.running:
            return Text(self.line())
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("fleet", no_wrap=True, overflow="ellipsis", ratio=1)
        for name in ("runs", "update", "loss", "left"):
            table.add_column(name, justify="right", no_wrap=True)
        shown = list(self.running.items())[:_MOST_ROWS]
        for number, job in shown:
            table.add_row(*self._row(job, self.latest.get(number)))
        if len(self.running) > len(shown):
            table.add_row(f"and {len(self.running) - len(shown)} more")
        return Group(Text(self.line(), no_wrap=True, overflow="ellipsis"), table)

    def _row(self, job: Job, event: Event | None) -> Sequence[str]:
        label = in_common([run.name for run in job.runs])
        runs = f"{len(job.runs) - len(self._ended[job.number])}/{len(job.runs)}"
        if event is None:
            return label, runs, "starts", "", ""
        return (
            label,
            runs,
            f"{event.update}/{event.updates}",
            _losses(event.losses),
            format_duration(event.seconds_left),
        )


def _losses(losses: Sequence[float]) -> str:
    """The median, and from where to where they go."""
    if len(losses) < 2:
        return format_number(losses[0], 2) if losses else ""
    return f"{format_number(median(losses), 2)} ({format_number(min(losses), 2)} to {format_number(max(losses), 2)})"


def in_common(names: Sequence[str]) -> str:
    """What names have in common, part by part: lstm-*-T100-* of lstm-identity-T100-s0 and lstm-orthogonal-T100-s1."""
    split = [name.split("-") for name in names]
    if len({len(parts) for parts in split}) > 1:
        return f"{names[0]}, ..."
    kept = [parts[0] if len(set(parts)) == 1 else "*" for parts in zip(*split, strict=True)]
    return "-".join(part for k, part in enumerate(kept) if part != "*" or k == 0 or kept[k - 1] != "*")


def counted(count: Mapping[str, int]) -> str:
    """`3 completed, 1 diverged`, without what there is none of."""
    return ", ".join(f"{number:,} {word}" for word, number in count.items() if number)
