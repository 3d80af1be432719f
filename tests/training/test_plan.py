"""Laws of counting updates: what arithmetic says is what going through all of them would say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlab.config import Config
from rnnlab.probes import SCHEDULES, At, Every, Log, Schedule
from rnnlab.sweeps.file import load_sweep
from rnnlab.sweeps.forecast import forecast
from rnnlab.sweeps.results import SweepOptions
from rnnlab.training.plan import count_of_any, in_both, is_logged, plan

unhurried = settings(deadline=None, max_examples=60)
BILLION = 10**9

SHORT = st.one_of(
    st.integers(1, 400).map(lambda n: Every(n=n)),
    st.integers(1, 300).map(lambda n: Log(per_decade=n)),
    st.lists(st.integers(0, 4000), min_size=1).map(lambda updates: At(updates=updates)),
)
RANGES = st.builds(range, st.integers(0, 60), st.integers(0, 900), st.integers(1, 40))


def config(schedule: Any, **train: Any) -> Config:
    return Config.model_validate(
        {
            "task": {"name": "addition", "length": 12},
            "model": {"hidden": 3},
            "train": {"batch": 2, **train},
            "probe": {"schedule": schedule, "timesteps": 4},
            "device": "cpu",
        }
    )


def slow_counts(described: Config) -> tuple[int, int]:
    """Measured and logged updates, each of them asked."""
    updates, measured, logged = described.train.updates or 0, 0, 0
    for update in range(updates):
        due = described.probe.schedule.due(update, updates)
        measured += due
        logged += due or is_logged(described, update, updates)
    return measured, logged


class Squares(Schedule):
    """At the square numbers; a schedule from outside, which says no more than when it is due."""

    name: Literal["squares"] = "squares"

    def due(self, update: int, updates: int | None = None) -> bool:
        return round(update**0.5) ** 2 == update


def test_every_schedule_is_among_those_drawn() -> None:
    assert set(SCHEDULES.values()) == {Every, Log, At}


@unhurried
@given(schedule=st.one_of(SHORT, st.just(Squares())), updates=st.integers(1, 3000))
def test_due_updates_are_those_that_are_due(schedule: Schedule, updates: int) -> None:
    walked = [update for update in range(updates) if schedule.due(update, updates)]
    assert list(schedule.due_updates(updates)) == walked


@unhurried
@given(per_decade=st.integers(1, 50), updates=st.sampled_from([10**6 - 1, 10**6, 10**6 + 1, 10**8]))
def test_log_is_exact_where_nobody_walks(per_decade: int, updates: int) -> None:
    """Each that it gives is due, and the one before it and the one after it only if given too."""
    schedule = Log(per_decade=per_decade)
    result = list(schedule.due_updates(updates))
    assert result == sorted(set(result))
    assert result[-1] == updates - 1
    near = {other for update in result for other in range(update - 1, update + 2) if 0 <= other < updates}
    assert {update for update in near if schedule.due(update, updates)} == set(result)


@unhurried
@given(
    schedule=SHORT,
    updates=st.integers(1, 3000),
    log_every=st.integers(0, 200),
    evaluate_every=st.integers(0, 200),
)
def test_a_plan_counts_as_a_walk_would(schedule: Any, updates: int, log_every: int, evaluate_every: int) -> None:
    if isinstance(schedule, At):  # a config whose schedule measures nothing is refused
        schedule = At(updates=(0, *schedule.updates))
    train = {"updates": updates, "log_every": log_every, "evaluate_every": evaluate_every}
    described = config(schedule.model_dump(), **train)
    measured, logged = slow_counts(described)
    planned = plan(described)
    assert (planned.gradient_rows, planned.metrics_rows) == (measured * 3 * 2, logged)


@unhurried
@given(first=RANGES, second=RANGES)
def test_numbers_in_both_ranges(first: range, second: range) -> None:
    assert list(in_both(first, second)) == sorted(set(first) & set(second))


@unhurried
@given(given=st.lists(st.one_of(RANGES, st.lists(st.integers(0, 900))), max_size=5))
def test_numbers_in_any(given: list[Sequence[int]]) -> None:
    assert count_of_any(given) == len({number for one in given for number in one})


@pytest.mark.parametrize("schedule", ["log", 1, 7, [0, 10, 999_999_999]])
def test_a_billion_updates_are_planned_at_once(schedule: Any) -> None:
    planned = plan(config(schedule, updates=BILLION, log_every=3, evaluate_every=1000))
    assert planned.updates == BILLION
    assert planned.metrics_rows >= BILLION // 3
    if schedule == 1:
        assert planned.metrics_rows == BILLION


def test_a_sweep_of_a_billion_updates_is_forecast_at_once(tmp_path: Path) -> None:
    base = config("log", updates=BILLION, evaluate_every=1).model_dump(mode="json", exclude={"name"})
    planned = forecast(load_sweep({"base": base, "axes": {"grid": {"task.length": [10, 20]}}}), SweepOptions(tmp_path))
    assert (planned.to_train, planned.fleets) == (2, 2)
    assert planned.bytes > BILLION
