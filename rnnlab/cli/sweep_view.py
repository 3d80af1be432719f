"""The progress of a sweep, added up from its events: as one line, and as a table of its fleets."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rnnlab.progress import Progress
from rnnlab.report.formatting import format_duration, format_number

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

    from rnnlab.cli.progress import ProgressDisplay
    from rnnlab.sweeps.jobs import Event, Job
    from rnnlab.sweeps.results import SweepCallback, SweepEvent
    from rnnlab.sweeps.status import SweepStatus

_MOST_ROWS = 12


class SweepView:
    """Counts runs by status, and keeps the progress of each fleet that is training.

    >>> from rnnlab.cli.sweep_view import SweepView
    >>> from rnnlab.runs.index import Index
    >>> from rnnlab.sweeps.file import load_sweep
    >>> from rnnlab.sweeps.results import SweepEvent
    >>> from rnnlab.sweeps.status import sweep_status
    >>> with Index("runs") as index:
    ...     status = sweep_status(load_sweep({"base": {"task": "addition"}, "seeds": 3}), index)
    >>> view = SweepView("demo", workers=1)
    >>> view.add(SweepEvent(status=status))
    >>> view.progress().total, view.running
    (3, {})
    """

    def __init__(self, name: str, *, workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self._workers, self._clock = name or "sweep", workers, clock
        self.runs = 0
        self.count: Counter[str] = Counter()
        self.running: dict[int, Job] = {}
        self._progress: dict[int, Progress] = {}
        self._ended: dict[int, set[str]] = {}
        self._cost_of_all = self._cost_of_done = 0.0
        self._started: float | None = None

    def add(self, event: SweepEvent) -> None:
        """Add an event."""
        if event.status is not None:
            self.runs = event.status.runs
            self.count = Counter(entry.status for entry in (*event.status.done, *event.status.failed))
            self._started = self._started or self._clock()
            self._cost_of_all = self._cost_of_done + sum(job.cost for job in event.planned)
        if event.event is not None and event.job is not None:
            self._add(event.event, event.job)

    def _add(self, event: Event, job: Job) -> None:
        if event.kind == "started":
            self.running[job.number], self._ended[job.number] = job, set()
        elif event.progress is not None:
            self._progress[job.number] = event.progress
        elif event.kind == "run_ended":
            self.count[event.status] += 1
            self._ended[job.number].add(event.run)
        elif event.is_final:
            self.running.pop(job.number, None)
            self._progress.pop(job.number, None)
            self._cost_of_done += job.cost if event.kind == "done" else 0.0
            self.count["failed"] += event.kind == "raised" and len(job.runs) == 1

    def progress(self) -> Progress:
        """How many of the runs are done, and the time left."""
        done = self.count["completed"] + self.count["diverged"]
        return Progress(done, self.runs, seconds_left=self._seconds_left())

    def _seconds_left(self) -> float | None:
        """An estimate from the speed so far, and at first from the cost of the runs; None before the start."""
        if self._started is None:
            return None
        shares = [(job.cost, self._progress.get(number)) for number, job in self.running.items()]
        done = self._cost_of_done + sum(cost * progress.fraction for cost, progress in shares if progress)
        spent, left = self._clock() - self._started, max(0.0, self._cost_of_all - done)
        is_known = spent > 10 and done > 0.02 * self._cost_of_all
        return left * spent / done if is_known else left / self._workers

    def opening(self, status: SweepStatus, planned: Sequence[Job]) -> str:
        """What is going to be trained, and what is done already."""
        new, fleets = len(status.missing) - status.interrupted, len(planned)
        counts = dict(self.count) | {"being trained by another process": len(status.running)}
        statuses = format_counts(counts | {"interrupted": status.interrupted, "new": new})
        runs = sum(len(job.runs) for job in planned)
        return (
            f"{self.name}: {self.runs:,} runs: {statuses}; to train: {runs:,} in {fleets:,} fleet{'s' * (fleets != 1)}"
        )

    def line(self) -> str:
        """How many runs have which status, and the time left."""
        progress = self.progress()
        running = sum(len(job.runs) - len(self._ended[number]) for number, job in self.running.items())
        parts = [f"{self.name}: {progress.done}/{progress.total} runs done", f"{running} running"]
        parts += [f"{self.count['failed']} failed", f"{self.count['diverged']} diverged"]
        left = f"; left {format_duration(progress.seconds_left)}" if progress.seconds_left is not None else ""
        return ", ".join(parts) + left

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The line, and below it a row for each fleet that trains."""
        from rich.text import Text

        yield Text(self.line(), no_wrap=True, overflow="crop" if options.ascii_only else "ellipsis")
        if self.running:
            yield self._table(options.ascii_only)

    def _table(self, ascii_only: bool) -> Table:
        from rich.table import Table

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        overflow = "crop" if ascii_only else "ellipsis"
        table.add_column("fleet", no_wrap=True, overflow=overflow, ratio=1)  # type: ignore[arg-type]
        for name in ("runs", "update", "loss", "left"):
            table.add_column(name, justify="right", no_wrap=True)
        shown = list(self.running.values())[:_MOST_ROWS]
        for job in shown:
            table.add_row(*self._row(job))
        if len(self.running) > len(shown):
            table.add_row(f"and {len(self.running) - len(shown)} more")
        return table

    def _row(self, job: Job) -> Sequence[str]:
        label, progress = common_pattern([run.name for run in job.runs]), self._progress.get(job.number)
        runs = f"{len(job.runs) - len(self._ended[job.number])}/{len(job.runs)}"
        if progress is None:
            return label, runs, "starts", "", ""
        return (
            label,
            runs,
            f"{progress.done}/{progress.total}",
            _losses(progress),
            format_duration(progress.seconds_left or 0),
        )


def display_events(display: ProgressDisplay, view: SweepView) -> SweepCallback:
    """A callback that adds events to the view and shows it. Failures are shown at once, on their own lines.

    A message that several fleets have is shown once.
    """
    shown = set[str]()

    def on_event(event: SweepEvent) -> None:
        view.add(event)
        if event.status is not None:
            display.message(view.opening(event.status, event.planned))
        if event.message:
            display.message(event.message)
        if event.event is not None and event.job is not None and (text := _message(event.event, event.job)):
            if event.event.kind != "message" or text not in shown:
                display.message(text)
            shown.add(text)
        display.show(view)

    return on_event


def _message(event: Event, job: Job) -> str:
    """The line that is shown for an event; empty for most."""
    names = job.runs[0].name if len(job.runs) == 1 else f"{len(job.runs)} runs, {job.runs[0].name} among them"
    if event.kind == "died":
        return f"{names}: {event.text}"
    if event.kind == "raised" and len(job.runs) == 1:
        return f"{names} failed: {event.text}"
    if event.kind == "run_ended" and event.status == "diverged":
        return f"{event.run} diverged: {event.text}"
    return event.text if event.kind == "message" else ""


def _losses(progress: Progress) -> str:
    """The median, and the smallest and the largest of several."""
    losses, middle = progress.losses, progress.loss
    if len(losses) < 2:
        return format_number(middle, 2) if losses else ""
    return f"{format_number(middle, 2)} ({format_number(min(losses), 2)} to {format_number(max(losses), 2)})"


def common_pattern(names: Sequence[str]) -> str:
    """The common pattern of names, part by part: lstm-*-T100-* for lstm-he-T100-s0 and lstm-identity-T100-s1."""
    split = [name.split("-") for name in names]
    if len({len(parts) for parts in split}) > 1:
        return f"{names[0]}, ..."
    pattern = [parts[0] if len(set(parts)) == 1 else "*" for parts in zip(*split, strict=True)]
    return "-".join(part for k, part in enumerate(pattern) if part != "*" or k == 0 or pattern[k - 1] != "*")


def format_counts(count: Mapping[str, int]) -> str:
    """`3 completed, 1 diverged`; zeros are left out."""
    return ", ".join(f"{number:,} {word}" for word, number in count.items() if number)
