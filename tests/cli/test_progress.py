"""Progress is one type, and it is shown on a terminal, in a file, or to nobody, without disturbing what is going on."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rnnlab.cli.progress import progress_line
from rnnlab.config import load_config
from rnnlab.progress import Progress, median_of
from rnnlab.sweeps.jobs import Event
from rnnlab.training.loop import train

EVENT = Progress(1200, 2000, (0.02312,), 0.0131, 0.024, 0.015, 0.3211, 0.12, 48.63, 16.4)

maybe = st.none() | st.floats()


@given(
    losses=st.lists(st.floats(allow_nan=False)).map(tuple),
    error=st.none() | st.floats(allow_nan=False),
    rate=st.none() | st.floats(allow_nan=False),
)
def test_progress_survives_json(**fields: object) -> None:
    event = Event("progress", 3, progress=replace(EVENT, **fields))  # type: ignore[arg-type]
    assert Event.from_json(event.to_json()) == event
    assert event.progress is not None
    assert Progress.from_fields(asdict(event.progress)) == event.progress


def test_the_figures_of_a_fleet_are_those_of_its_middle() -> None:
    fleet = Progress(5, 10, losses=(3.0, 1.0, 2.0))
    assert (fleet.fraction, fleet.loss) == (0.5, 2.0)
    assert (Progress(0, 0).fraction, Progress(0, 0).loss) == (0.0, None)
    assert median_of([None, 4.0, None, 2.0]) == 3.0


def test_a_training_says_how_far_it_is(tmp_path: Path) -> None:
    config = load_config({"task": "addition", "model": {"hidden": 3}, "train": {"updates": 3, "batch": 2}})
    seen: list[Progress] = []
    run = train(config, out=tmp_path, observe=seen.append)
    last = seen[-1]
    assert (last.done, last.total, last.seconds_left) == (3, 3, 0.0)
    assert last.losses == (run.metrics["loss"].iloc[-1],)
    assert last.grad_norm == run.metrics["grad_norm"].iloc[-1]
    assert last.error == run.metrics["error"].iloc[-1]


def test_the_line_says_everything() -> None:
    line = progress_line(EVENT)
    assert line == "1200/2000  loss 0.0231  error 0.0131  |g| 0.321  clip 12%  48.6/s  left 16s"
    assert "eval 0.015" in progress_line(EVENT, 100)


@given(
    done=st.integers(0, 10**7),
    total=st.integers(0, 10**7),
    losses=st.floats().map(lambda loss: (loss,)),
    error=maybe,
    eval_error=maybe,
    grad_norm=st.floats(),
    clip_rate=st.none() | st.floats(0, 1),
    # Slower than an update in a quarter of an hour is no rate that anybody waits for.
    rate=st.just(0.0) | st.floats(1e-3, 1e5),
    seconds_left=st.floats(0, 1e7),
)
def test_the_line_fits_and_keeps_all_but_the_validation_error(**fields: object) -> None:
    line = progress_line(replace(EVENT, **fields))  # type: ignore[arg-type]
    assert len(line) <= 80
    for word in ("loss", "error", "|g|", "/s", "left"):
        assert word in line
    assert ("clip" in line) == (fields["clip_rate"] is not None)
