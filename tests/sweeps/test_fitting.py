"""Laws of fitting a sweep into memory: fleets are divided, fewer train at once, and what cannot fit is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import Call

import rnnlab
from rnnlab.errors import NotEnoughMemoryError
from rnnlab.runs.index import Index
from rnnlab.sweeps import fitting
from rnnlab.sweeps.driver import train_sweep
from rnnlab.sweeps.engines import Engine, Inline, Local
from rnnlab.sweeps.file import load_sweep
from rnnlab.sweeps.fitting import FleetPlan
from rnnlab.sweeps.jobs import EventCallback, JobSource
from rnnlab.sweeps.packing import PendingRun, fleets_of
from rnnlab.sweeps.results import SweepEvent, SweepOptions
from rnnlab.sweeps.status import sweep_status
from rnnlab.training import room
from rnnlab.training.memory import forecast_memory

BASE: dict[str, Any] = {
    "task": {"name": "addition", "length": 100},
    "model": {"hidden": 50},
    "train": {"batch": 50, "updates": 2, "evaluate_size": 20},
    "device": "cpu",
}


class Nothing(Engine):
    """Trains nothing, on machines that are not this one."""

    name = "nothing"
    here = False

    def train(self, jobs: JobSource, on_event: EventCallback) -> None:
        """Nothing."""


def pending(tmp_path: Path, *, seeds: int = 8, lengths: tuple[int, ...] = (100,)) -> tuple[PendingRun, ...]:
    sweep = load_sweep({"base": BASE, "axes": {"grid": {"task.length": list(lengths)}}, "seeds": seeds})
    with Index(tmp_path) as index:
        return sweep_status(sweep, index).missing


def peak(fleet: list[PendingRun]) -> int:
    return forecast_memory([run.config for run in fleet]).peak


def give(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """A machine with so much free, and a process that holds nothing."""
    for module in (fitting, room):
        monkeypatch.setattr(module, "free_memory", lambda: free)
    monkeypatch.setattr(room, "resident_memory", lambda: 0)


def test_with_room_nothing_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = pending(tmp_path, lengths=(100, 200))
    give(monkeypatch, 10**12)
    plan = FleetPlan.of(runs, Local(2), together=True)
    assert plan.fleets == fleets_of(runs)
    assert (plan.message, plan.refusal, plan.engine.at_once()) == ("", "", 2)
    assert plan.peak == sum(map(peak, plan.fleets))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_fleets_are_divided_until_they_fit(workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = pending(tmp_path, seeds=16, lengths=(100, 200))
    alone = max(peak([run]) for run in runs)
    free = workers * (alone + 40 * 2**20)
    give(monkeypatch, free)
    plan = FleetPlan.of(runs, Local(workers), together=True)
    assert plan.peak <= free
    assert plan.engine.at_once() == workers
    assert len(plan.fleets) > 2
    assert sorted(run.spec.name for fleet in plan.fleets for run in fleet) == sorted(run.spec.name for run in runs)


def test_where_single_runs_are_large_fewer_train_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = pending(tmp_path, lengths=(100, 200))
    give(monkeypatch, int(2.5 * max(peak([run]) for run in runs)))
    plan = FleetPlan.of(runs, Local(4), together=True)
    assert plan.engine.at_once() == 2
    assert plan.message == "2 of 4 fleets train at once, as many as fit into the memory that is free"


def test_the_user_hears_of_fewer_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, int(1.5 * peak([pending(tmp_path)[0]])))
    monkeypatch.setattr(Local, "train", lambda self, jobs, on_event: None)
    events: list[SweepEvent] = []
    sweep = load_sweep({"base": BASE, "seeds": 2})
    train_sweep(sweep, Local(2), SweepOptions(tmp_path, fleets=False), events.append)
    assert [event.message for event in events if event.message] == [
        "1 of 2 fleets train at once, as many as fit into the memory that is free"
    ]


def test_a_run_too_large_alone_is_refused_before_any_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = {"base": BASE, "axes": {"grid": {"task.length": [50, 10**8]}}, "seeds": 2}
    with pytest.raises(NotEnoughMemoryError, match=r"lstm-T100000000-s0: this run takes about .* TB"):
        rnnlab.sweep(sweep, out=tmp_path)
    assert not list(tmp_path.glob("*/run.json"))


def test_forced_it_trains_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, 0)
    sweep = {"base": {**BASE, "task": {"name": "addition", "length": 10}}, "seeds": 2}
    with pytest.raises(NotEnoughMemoryError, match=r"--force-memory"):
        rnnlab.sweep(sweep, out=tmp_path, engine=Inline())
    assert rnnlab.sweep(sweep, out=tmp_path, engine=Inline(), force_memory=True).completed == 2


def test_other_machines_are_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, 0)
    runs, engine = pending(tmp_path), Nothing()
    plan = FleetPlan.of(runs, engine, together=True)
    assert (plan.fleets, plan.engine, plan.refusal) == (fleets_of(runs), engine, "")


def test_a_dry_run_shows_the_memory(rnn: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("sweep.yaml").write_text(json.dumps({"base": BASE, "seeds": 2}))
    shown = rnn("sweep", "-c", "sweep.yaml", "--dry-run")
    assert (shown.code, "# memory: about " in shown.out) == (0, True)
    give(monkeypatch, 0)
    shown = rnn("sweep", "-c", "sweep.yaml", "--dry-run")
    assert (shown.code, "# memory: lstm-T100-s0: this run takes about " in shown.out) == (0, True)
    assert rnn("sweep", "-c", "sweep.yaml").code == 2
