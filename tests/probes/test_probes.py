"""Laws of the schedules, and that every probe says what it measures and fills columns that exist."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from rnnlab.config import load_config
from rnnlab.parts import Part, choice
from rnnlab.probes import DEFAULT_PROBES, PROBES, SCHEDULES, At, Every, Log, Probe, Schedule, as_schedule
from rnnlab.runs.columns import METRICS, metrics_columns

PARTS: list[type[Part]] = [*SCHEDULES.values(), *PROBES.values()]

unhurried = settings(deadline=None, max_examples=30)


def made(part: type[Part], **options: Any) -> Any:
    """A part with its required options filled from the examples in its schema."""
    fields = {key: field for key, field in part.model_fields.items() if field.is_required()}
    return part(**{key: (field.examples or [None])[0] for key, field in fields.items()} | options)


def due(schedule: Any, updates: int) -> list[int]:
    return [update for update in range(updates) if schedule.due(update)]


# contract, over the tables


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.key())
def test_a_part_says_what_it_is(part: type[Part]) -> None:
    assert len(part.meaning()) > 10
    assert all(field.description for key, field in part.model_fields.items() if key != "name")
    assert part(**made(part).model_dump(mode="json")) == made(part)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.key())
def test_an_unknown_option_is_refused(part: type[Part]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        made(part, often=3)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_measures_the_untrained_network_by_default(name: str) -> None:
    assert made(SCHEDULES[name]).due(0)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_has_no_memory(name: str) -> None:
    """What it says of an update does not depend on what it was asked before."""
    schedule, updates = made(SCHEDULES[name]), range(300)
    assert [schedule.due(update) for update in reversed(updates)][::-1] == [schedule.due(update) for update in updates]


def test_a_long_list_is_searched_without_going_through_it() -> None:
    schedule = At(updates=tuple(range(0, 200_000, 2)))
    assert due(schedule, 200_001) == list(schedule.updates)
    assert schedule == At(updates=schedule.updates)
    assert schedule.model_dump() == At(updates=schedule.updates).model_dump()


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_a_probe_fills_columns_of_metrics_that_no_other_fills(probe: type[Probe]) -> None:
    others = {column.name for other in PROBES.values() if other is not probe for column in other.columns}
    assert set(probe.columns) <= set(metrics_columns([made(probe)]))
    assert (set(probe.columns) <= set(METRICS)) == (probe in DEFAULT_PROBES or not probe.columns)
    assert not others & {column.name for column in probe.columns}


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_a_probe_writes_to_one_of_the_files(probe: type[Probe]) -> None:
    config = load_config({"task": "addition"})
    writes_rows = made(probe).gradient_rows(config) > 0
    assert writes_rows != bool(probe.columns or probe.table)
    assert (made(probe).table_rows(config) > 0) == bool(probe.table) == bool(probe.at)


def test_the_columns_are_those_that_every_file_has() -> None:
    """In this order: a file that another version wrote begins with the same line."""
    names = (
        "update epoch loss error eval_loss eval_error grad_norm grad_norm_clipped clipped lr weight_norm update_norm"
    )
    rest = "recurrent_radius recurrent_sigma_max saturation seconds"
    assert [column.name for column in METRICS] == [*names.split(), *rest.split()]
    assert metrics_columns([]) == metrics_columns([made(part) for part in DEFAULT_PROBES]) == METRICS


# every, at


@unhurried
@given(n=st.integers(1, 500), update=st.integers(0, 10**9))
def test_every_is_every_nth_from_the_first(n: int, update: int) -> None:
    assert Every(n=n).due(update) == (update in range(0, update + 1, n))


@unhurried
@given(updates=st.lists(st.integers(0, 200), min_size=1))
def test_at_is_what_is_listed(updates: list[int]) -> None:
    """In any order and however often; as a list, which is what YAML gives, or as a tuple."""
    assert due(At(updates=updates), 201) == sorted(set(updates))
    assert At(updates=updates) == At(updates=tuple(sorted(updates)))


# log


@unhurried
@given(per_decade=st.integers(1, 200))
def test_log_starts_at_the_first_update_and_meets_every_power_of_ten(per_decade: int) -> None:
    result = due(Log(per_decade=per_decade), 10_001)
    assert result[:2] == [0, 1]
    assert {10, 100, 1000, 10_000} <= set(result)


@unhurried
@given(per_decade=st.integers(1, 200))
def test_log_makes_at_most_per_decade_measurements_in_a_decade(per_decade: int) -> None:
    result = due(Log(per_decade=per_decade), 10_000)
    for decade in (1, 10, 100, 1000):
        count = sum(decade <= update < 10 * decade for update in result)
        assert count <= per_decade
        # A decade has 9 * 10^k updates; where those are plenty, hardly a measurement is lost to rounding.
        assert count >= per_decade - 1 or per_decade > decade / 2


@unhurried
@given(per_decade=st.integers(1, 200))
def test_log_is_never_later_than_its_ratio_and_thins_out_steadily(per_decade: int) -> None:
    result = due(Log(per_decade=per_decade), 20_000)[1:]
    ratio = 10 ** (1 / per_decade)
    assert all(after <= before * ratio + 1 for before, after in itertools.pairwise(result))
    gaps = [after - before for before, after in itertools.pairwise(result)]
    assert all(next_gap >= gap - 1 for gap, next_gap in itertools.pairwise(gaps))  # 1: updates are whole numbers


def test_log_keeps_a_long_run_small() -> None:
    """1e5 updates of 100 timesteps and 5 curves make about 1e5 rows, not 1e7."""
    assert 100 < len(due(Log(), 100_000)) <= 1 + 40 * 5


def test_log_does_not_depend_on_how_long_the_run_is() -> None:
    assert due(Log(), 500) == [update for update in due(Log(), 5000) if update < 500]


# in short


@pytest.mark.parametrize(
    ("short", "schedule"),
    [
        (10, Every(n=10)),
        ([0, 10, 100], At(updates=(0, 10, 100))),
        ((7,), At(updates=(7,))),
        ({"name": "log", "per_decade": 5}, Log(per_decade=5)),
    ],
)
def test_a_schedule_can_be_given_in_short(short: Any, schedule: Schedule) -> None:
    assert TypeAdapter(choice(SCHEDULES)).validate_python(as_schedule(short)) == schedule


@pytest.mark.parametrize("short", ["log", True, None])
def test_what_is_no_short_form_is_passed_on(short: Any) -> None:
    assert as_schedule(short) is short


# what is refused


@pytest.mark.parametrize(
    ("part", "options", "message"),
    [
        (Every, {"n": 0}, "greater than 0"),
        (Every, {"n": 1.5}, "valid integer"),
        (Log, {"per_decade": -1}, "greater than 0"),
        (At, {}, "Field required"),
        (At, {"updates": []}, "at least 1 item"),
        (At, {"updates": [3, -1]}, "greater than or equal to 0"),
    ],
)
def test_bad_options_are_refused(part: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        part(**options)
