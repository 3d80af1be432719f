"""The view of a sweep adds up events, and fits the terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from rnnlab.cli.progress import ProgressDisplay
from rnnlab.cli.sweep_view import SweepView, common_pattern, display_events
from rnnlab.progress import Progress
from rnnlab.runs.index import Entry
from rnnlab.sweeps.jobs import Event, Job, RunSpec
from rnnlab.sweeps.packing import PendingRun
from rnnlab.sweeps.results import SweepEvent
from rnnlab.sweeps.status import SweepStatus


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def entry(name: str, status: str) -> Entry:
    return Entry(name, name, None, status, "", "", None, None, None, {})


def jobs(count: int = 2, runs: int = 3) -> list[Job]:
    return [
        Job(k, tuple(RunSpec(f"lstm-clip{k}-T10-s{s}", "", {}) for s in range(runs)), "", cost=10.0)
        for k in range(count)
    ]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def view(clock: Clock) -> SweepView:
    """Two fleets of three to train, of ten runs."""
    view = SweepView("mine", workers=2, clock=clock)
    done = [entry("a", "completed"), entry("b", "diverged"), entry("c", "completed")]
    pending: list[object] = [None] * 6
    view.add(SweepEvent(planned=jobs(), status=SweepStatus(done, [entry("d", "failed")], [], pending)))  # type: ignore[arg-type]
    return view


def rendered(view: SweepView, width: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width).print(view)
    return stream.getvalue().splitlines()


def test_it_counts(view: SweepView, clock: Clock) -> None:
    assert view.line() == "mine: 3/10 runs done, 0 running, 1 failed, 1 diverged; left 10s"
    first, second = jobs()
    view.add(SweepEvent(Event("started", 0), first))
    view.add(SweepEvent(Event("started", 1), second))
    view.add(SweepEvent(Event("run_ended", 0, run="x", status="diverged"), first))
    assert view.line().startswith("mine: 4/10 runs done, 5 running, 1 failed, 2 diverged")
    clock.now = 20.0
    halfway = Progress(50, 100, losses=(0.5, 0.1, 0.3), seconds_left=20.0)
    view.add(SweepEvent(Event("progress", 1, progress=halfway), second))
    assert view.progress().seconds_left == pytest.approx(60.0)  # a quarter in 20 s
    view.add(SweepEvent(Event("done", 0), first))
    assert "2 running" not in view.line()
    assert "3 running" in view.line()
    lines = rendered(view, 80)
    assert lines[1].split() == ["fleet", "runs", "update", "loss", "left"]
    assert lines[2].split() == ["lstm-clip1-T10-*", "3/3", "50/100", "0.3", "(0.1", "to", "0.5)", "20s"]
    view.add(SweepEvent(Event("died", 1, "gone"), second))
    assert "0 running" in view.line()


@pytest.mark.parametrize("width", [40, 80, 140])
def test_it_fits(width: int, view: SweepView) -> None:
    for job in jobs(40, 9):
        view.add(SweepEvent(Event("started", job.number), job))
        progress = Progress(123, 4567, losses=(1e-9, 1e9), seconds_left=1e6)
        view.add(SweepEvent(Event("progress", job.number, progress=progress), job))
    lines = rendered(view, width)
    assert max(map(len, lines)) <= width
    assert "and 28 more" in lines[-1]


def test_what_is_about_to_be_trained_is_said_first(clock: Clock) -> None:
    stream, view = io.StringIO(), SweepView("mine", workers=2, clock=clock)
    pending = [PendingRun(None, RunSpec(f"{k}", "", {}, resume=k == 0)) for k in range(6)]
    status = SweepStatus([entry("a", "completed")], [], [entry("e", "running")], pending)  # type: ignore[arg-type]
    with ProgressDisplay(stream, clock=clock) as display:
        on_event = display_events(display, view)
        on_event(SweepEvent(planned=jobs(), status=status))
    assert stream.getvalue() == (
        "mine: 8 runs: 1 completed, 1 being trained by another process, 1 interrupted, 5 new; to train: 6 in 2 fleets\n"
    )


def test_names_are_shown_by_what_they_share() -> None:
    assert common_pattern(["lstm-identity-T100-s0", "lstm-orthogonal-T100-s1"]) == "lstm-*-T100-*"
    assert common_pattern(["rnn-T5"]) == "rnn-T5"
    assert common_pattern(["a-b", "a-b-c"]) == "a-b, ..."


def test_off_a_terminal_there_are_plain_lines_now_and_then(view: SweepView, clock: Clock) -> None:
    stream, (job, *_) = io.StringIO(), jobs()
    alone = Job(5, job.runs[:1], "")
    with ProgressDisplay(stream, clock=clock) as display:
        on_event = display_events(display, view)
        on_event(SweepEvent(Event("started", 0), job))
        on_event(SweepEvent(Event("started", 5), alone))
        clock.now = 11.0
        on_event(SweepEvent(Event("progress", 0, progress=Progress(1, 2)), job))
        on_event(SweepEvent(Event("died", 0, "its process ended"), job))
        on_event(SweepEvent(Event("raised", 5, "why"), alone))
        on_event(SweepEvent(Event("run_ended", 0, "not finite", run="x", status="diverged"), job))
    assert stream.getvalue().splitlines() == [
        "mine: 3/10 runs done, 4 running, 1 failed, 1 diverged; left 33s",
        "3 runs, lstm-clip0-T10-s0 among them: its process ended",
        "lstm-clip0-T10-s0 failed: why",
        "x diverged: not finite",
    ]


def test_a_message_of_several_fleets_is_shown_once(view: SweepView, clock: Clock) -> None:
    stream, fleets = io.StringIO(), jobs(3)
    with ProgressDisplay(stream, clock=clock) as display:
        on_event = display_events(display, view)
        for job in fleets:
            on_event(SweepEvent(Event("started", job.number), job))
            on_event(SweepEvent(Event("message", job.number, "compiled loops are kept in /tmp/rnnlab-0"), job))
        on_event(SweepEvent(message="waiting"))
    assert stream.getvalue().splitlines() == ["compiled loops are kept in /tmp/rnnlab-0", "waiting"]


def test_nobody_has_to_read_it(view: SweepView, clock: Clock) -> None:
    stream, (job, *_) = io.StringIO(), jobs()
    stream.close()
    with ProgressDisplay(stream, clock=clock, quiet=True) as display:
        display_events(display, view)(SweepEvent(Event("died", 0, "gone"), job))
