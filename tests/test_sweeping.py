"""Laws of carrying out a sweep: what is missing is trained, once, whatever becomes of the processes that train it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

import rnnlab
from rnnlab import sweeping
from rnnlab.claims import Claims, folder_key
from rnnlab.engines import Engine, Inline
from rnnlab.errors import DataMissingError, DeviceMissingError, RunFailedError
from rnnlab.forecast import forecast
from rnnlab.index import Index
from rnnlab.jobs import Event, Hear, Item, Job, Queue
from rnnlab.provenance import this_process
from rnnlab.rundir import RunDir
from rnnlab.survey import survey
from rnnlab.sweeping import News, Order, Outcome, train_sweep
from rnnlab.sweeps import Sweep, load_sweep

DEAD = {**this_process(), "pid": 2**22 + 1}
AWAY = {"pid": 7, "host": "another machine", "start": "1"}
SMALL = {"task": {"name": "addition", "length": 10}, "model": {"hidden": 3}, "train": {"updates": 2, "batch": 2}}


def small(lengths: list[int] | None = None, seeds: int = 2, name: str = "") -> Sweep:
    """A fleet of `seeds` runs for each length."""
    found = load_sweep({"base": SMALL, "axes": {"grid": {"task.length": lengths or [10, 20]}}, "seeds": seeds})
    return Sweep(found.members, found.axes, found.repeated, name)


class Scripted(Engine):
    """Does with each job what its script says, and finishes all those after it; trains nothing."""

    name: ClassVar[str] = "scripted"

    def __init__(self, *script: str, before: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.script, self.jobs, self.before = list(script), list[Job](), before

    def train(self, jobs: Queue, hear: Hear) -> None:
        self.before()
        while (job := jobs.take()) is not None:
            self.jobs.append(job)
            hear(Event("began", job.number))
            kind: Any = self.script.pop(0) if self.script else "done"
            for item in job.items:
                if kind == "done":
                    write(item, job)
                    hear(Event("ended", job.number, run=item.name, status="completed"))
                elif kind == "died":
                    write(item, job, "running", process=DEAD)
                elif kind == "raised" and len(job.items) > 1:
                    write(item, job, "interrupted")
                elif kind == "raised":
                    write(item, job, "failed", reason="why")
            hear(Event(kind, job.number, "" if kind == "done" else "why"))

    def names(self) -> list[str]:
        return [name for fleet in self.trained() for name in fleet]

    def trained(self) -> list[list[str]]:
        return [[item.name for item in job.items] for job in self.jobs]


def write(item: Item, job: Job, status: str = "completed", **more: Any) -> None:
    """A run's folder, as if it had been trained so far."""
    info = {"identity": item.identity, "sweep": job.sweep}
    folder = RunDir.create(job.out, item.name, info, force=item.again, dead=True)
    folder.config.write_text(yaml.safe_dump(dict(item.config)))
    folder.update(status=status, **more)


def told(sweep: Sweep, engine: Engine, order: Order) -> tuple[Outcome, list[News]]:
    news: list[News] = []
    return train_sweep(sweep, engine, order, news.append), news


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order(tmp_path / "runs", command=("rnnlab", "sweep"))


def test_a_sweep_is_a_set(order: Order) -> None:
    first, second = Scripted(), Scripted()
    outcome, news = told(small(), first, order)
    assert (outcome.runs, outcome.trained, outcome.completed, outcome.failures) == (4, 4, 4, [])
    assert first.trained() == [["lstm-T20-s0", "lstm-T20-s1"], ["lstm-T10-s0", "lstm-T10-s1"]]  # the costlier first
    assert len(news[0].begins) == 2
    outcome, _ = told(small(seeds=3), second, order)
    assert second.trained() == [["lstm-T20-s2"], ["lstm-T10-s2"]]
    assert (outcome.runs, outcome.trained, outcome.completed) == (6, 2, 6)
    third = Scripted(before=lambda: pytest.fail("nothing is missing"))
    assert told(small(), third, order)[0].trained == 0


def test_runs_that_train_made_count(order: Order) -> None:
    member = small().members[0]
    rnnlab.train(member.config.model_copy(update={"name": "by-hand", "notes": "mine"}), out=order.out)
    engine = Scripted()
    outcome, _ = told(small(), engine, order)
    assert (outcome.completed, outcome.trained) == (4, 3)
    assert member.name not in engine.names()


def test_an_edited_sweep_says_what_it_leaves(order: Order) -> None:
    told(small([10, 20], name="mine"), Scripted(), order)
    told(small([90], name="another"), Scripted(), order)
    planned = forecast(small([20, 30], name="mine"), order)
    assert planned.count == {"completed": 2, "new": 2}
    assert (planned.dropped, planned.to_train, planned.fleets) == (2, 2, 1)
    assert planned.seconds > 0
    assert planned.bytes > 0
    outcome, _ = told(small([20, 30], name="mine"), Scripted(), order)
    assert (outcome.completed, outcome.trained, outcome.dropped) == (4, 2, 2)


def test_at_most_so_many_runs(order: Order) -> None:
    limited = Order(order.out, max_runs=3)
    for trained, left in ((3, 1), (1, 0), (0, 0)):
        outcome, _ = told(small(), Scripted(), limited)
        assert (outcome.trained, outcome.left) == (trained, left)
    assert told(small(seeds=9), Scripted(), Order(order.out, max_runs=0))[0].left == 14


def test_a_death_is_retried_with_what_is_left(order: Order) -> None:
    engine = Scripted("died", "done", "died")
    outcome, _ = told(small(), engine, order)
    assert outcome.completed == 4
    assert [(job.attempt, {item.again for item in job.items}) for job in engine.jobs] == [
        (0, {False}),
        (0, {False}),
        (1, {True}),
        (2, {True}),
    ]


def test_what_dies_three_times_has_failed(order: Order) -> None:
    engine = Scripted("died", "done", "died", "died")
    outcome, _ = told(small(), engine, order)
    assert (outcome.completed, len(engine.jobs)) == (2, 4)
    assert [(one.name, one.why) for one in outcome.failures] == [
        ("lstm-T20-s0", "why; tried 3 times"),
        ("lstm-T20-s1", "why; tried 3 times"),
    ]
    command = f"rnnlab train --config {order.out}/lstm-T20-s0/config.yaml --out {order.out} --force"
    assert outcome.failures[0].command == command


def test_of_a_fleet_that_raised_each_run_is_tried_alone(order: Order) -> None:
    engine = Scripted("raised", "done", "done", "raised")
    outcome, _ = told(small(), engine, order)
    assert [len(job.items) for job in engine.jobs] == [2, 2, 1, 1]
    assert (outcome.completed, [one.why for one in outcome.failures]) == (3, ["why"])


def test_what_failed_is_tried_again_only_when_asked(order: Order) -> None:
    told(small(), Scripted("raised", "done", "raised", "raised"), order)
    engine = Scripted(before=lambda: pytest.fail("nothing is missing"))
    assert len(told(small(), engine, order)[0].failures) == 2
    engine = Scripted()
    outcome, _ = told(small(), engine, Order(order.out, retry_failed=True))
    assert engine.trained() == [["lstm-T20-s0", "lstm-T20-s1"]]
    assert (outcome.completed, outcome.failures) == (4, [])


def test_a_system_that_refuses_ends_the_sweep(order: Order) -> None:
    engine = Scripted("refused")
    with pytest.raises(RunFailedError, match="why"):
        told(small(), engine, order)
    assert len(engine.jobs) == 1
    assert told(small(), Scripted(), order)[0].completed == 4


def test_what_another_holds_is_let_alone(order: Order) -> None:
    members = small().members
    with Claims(order.out) as theirs:
        theirs.take([members[0].identity])
        outcome, _ = told(small(), Scripted(), order)
    assert (outcome.trained, outcome.elsewhere) == (3, 1)
    assert told(small(), Scripted(), order)[0].trained == 1


def test_what_is_resumed_elsewhere_is_let_alone(order: Order) -> None:
    """`rnnlab train --resume` has the folder and not the identity."""
    member = small().members[0]
    write(Item("old", member.identity, member.config.resolved()), Job(1, (), str(order.out)), "interrupted")
    with Claims(order.out) as theirs:
        theirs.take([folder_key("old")])
        engine = Scripted()
        outcome, _ = told(small(), engine, order)
        assert "old" not in engine.names()
        assert (outcome.trained, outcome.elsewhere) == (3, 1)
    assert told(small(), Scripted(), order)[0].trained == 1


def test_a_sweep_has_the_folders_that_it_trains_in(order: Order) -> None:
    class Holding(Scripted):
        def train(self, jobs: Queue, hear: Hear) -> None:
            job = jobs.take()
            assert job is not None
            with Claims(order.out) as theirs:
                assert theirs.take([folder_key(item.name) for item in job.items]) == set()
            hear(Event("began", job.number))
            hear(Event("done", job.number))
            with Claims(order.out) as theirs:
                assert len(theirs.take([folder_key(item.name) for item in job.items])) == len(job.items)

    told(small([10]), Holding(), order)


def test_what_another_finished_meanwhile_is_not_trained(order: Order) -> None:
    member = small().members[0]

    def another() -> None:
        write(Item("theirs", member.identity, member.config.resolved()), Job(1, (), str(order.out)))

    engine = Scripted(before=another)
    outcome, _ = told(small(), engine, order)
    assert member.name not in engine.names()
    assert (outcome.trained, outcome.completed) == (3, 4)


def test_a_taken_name_is_no_obstacle(order: Order) -> None:
    member = small().members[0]
    write(Item(member.name, "another identity", {}), Job(1, (), str(order.out)))
    outcome, _ = told(small(), Scripted(), order)
    assert outcome.completed == 4
    assert (Path(order.out) / f"{member.name}-{member.identity[:8]}").is_dir()


@pytest.mark.parametrize("sweep", ["mine", None])
def test_what_a_lost_machine_was_training_is_taken_over(
    sweep: str | None, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a sweep that nobody claims any more; a run of `rnnlab train` on another machine may well go on."""
    monkeypatch.setattr(sweeping, "_ORPHANS", 0.0)
    member = small().members[0]
    item = Item(member.name, member.identity, member.config.resolved())
    write(item, Job(1, (), str(order.out), sweep=sweep), "running", process=AWAY)
    outcome, _ = told(small(name="mine"), Scripted(), order)
    assert (outcome.completed, outcome.elsewhere) == ((4, 0) if sweep else (3, 1))


def test_interrupted_runs_go_on_under_their_names(order: Order) -> None:
    member = small().members[0]
    write(Item("old", member.identity, member.config.resolved()), Job(1, (), str(order.out)), "interrupted")
    with Index(order.out) as index:
        index.refresh()
        found = survey(small(), index)
    assert found.interrupted == 1
    engine = Scripted()
    told(small(), engine, order)
    assert "old" in engine.names()


def test_what_no_run_could_do_is_told_before_any(order: Order, tmp_path: Path) -> None:
    for base, error in (
        ({"task": {"name": "text", "path": str(tmp_path / "none.txt")}}, DataMissingError),
        ({**SMALL, "device": "cuda:99"}, DeviceMissingError),
    ):
        with pytest.raises(error, match=r"none\.txt|cuda:99"):
            train_sweep(load_sweep({"base": base, "seeds": 2}), Inline(), order)
    assert not Path(order.out).exists()


def test_fleets_or_alone_the_runs_are_the_same(tmp_path: Path) -> None:
    given = {"base": {**SMALL, "dtype": "float64"}, "axes": {"grid": {"clip": ["none", "norm"]}}, "seeds": 2}
    for name, fleets in (("together", True), ("alone", False)):
        outcome = rnnlab.sweep(given, out=tmp_path / name, engine="inline", fleets=fleets)
        assert outcome.completed == 4
    together, alone = (rnnlab.load_runs(tmp_path / name) for name in ("together", "alone"))
    assert {run.info["fleet"] for run in together} == {4}
    assert {run.info["fleet"] for run in alone} == {1}
    ours, theirs = (runs.gradients.select_dtypes("number") for runs in (together, alone))
    assert ((ours - theirs).abs().fillna(0) < 1e-10).all(axis=None)


def test_one_fleet_trains_here_and_several_in_their_own_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []
    for kind in (sweeping.Inline, sweeping.Local):
        monkeypatch.setattr(kind, "train", lambda self, jobs, hear: used.append(self.name))
    train_sweep(small([10]), None, Order(tmp_path))
    train_sweep(small([10, 20]), None, Order(tmp_path))
    assert used == ["inline", "local"]
