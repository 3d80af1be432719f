"""Laws of carrying out a sweep: what is missing is trained, once, whatever becomes of the processes that train it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

import rnnlab
from rnnlab.errors import DataMissingError, DeviceMissingError, RunFailedError
from rnnlab.provenance import this_process
from rnnlab.runs.claims import Claims, folder_key
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.index import Index
from rnnlab.sweeps import orphans
from rnnlab.sweeps.driver import train_sweep
from rnnlab.sweeps.engines import Engine, Inline, Local
from rnnlab.sweeps.file import Sweep, load_sweep
from rnnlab.sweeps.forecast import forecast
from rnnlab.sweeps.jobs import Event, EventCallback, Job, JobSource, RunSpec
from rnnlab.sweeps.results import SweepEvent, SweepOptions, SweepResult
from rnnlab.sweeps.status import sweep_status

DEAD = {**this_process(), "pid": 2**22 + 1}
AWAY = {"pid": 7, "host": "another machine", "start": "1"}
SMALL = {"task": {"name": "addition", "length": 10}, "model": {"hidden": 3}, "train": {"updates": 2, "batch": 2}}


def small(lengths: list[int] | None = None, seeds: int = 2, name: str = "") -> Sweep:
    """A fleet of `seeds` runs for each length."""
    loaded = load_sweep({"base": SMALL, "axes": {"grid": {"task.length": lengths or [10, 20]}}, "seeds": seeds})
    return Sweep(loaded.members, loaded.axes, loaded.repeated, name)


class Scripted(Engine):
    """Does with each job what its script says, and finishes all those after it; trains nothing."""

    name: ClassVar[str] = "scripted"

    def __init__(self, *script: str, before: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.script, self.jobs, self.before = list(script), list[Job](), before

    def train(self, jobs: JobSource, on_event: EventCallback) -> None:
        self.before()
        while (job := jobs.take()) is not None:
            self.jobs.append(job)
            on_event(Event("started", job.number))
            kind: Any = self.script.pop(0) if self.script else "done"
            for spec in job.runs:
                if kind == "done":
                    write(spec, job)
                    on_event(Event("run_ended", job.number, run=spec.name, status="completed"))
                elif kind == "died":
                    write(spec, job, "running", process=DEAD)
                elif kind == "stuck":  # nothing could be written when it raised
                    write(spec, job, "running", process=this_process())
                elif kind == "raised" and len(job.runs) > 1:
                    write(spec, job, "interrupted")
                elif kind == "raised":
                    write(spec, job, "failed", reason="why")
            on_event(Event("raised" if kind == "stuck" else kind, job.number, "" if kind == "done" else "why"))

    def names(self) -> list[str]:
        return [name for fleet in self.trained() for name in fleet]

    def trained(self) -> list[list[str]]:
        return [[spec.name for spec in job.runs] for job in self.jobs]


def write(spec: RunSpec, job: Job, status: str = "completed", **more: Any) -> None:
    """A run's folder, as if it had been trained so far."""
    info = {"identity": spec.identity, "sweep": job.sweep}
    folder = RunFolder.create(job.out, spec.name, info, force=spec.resume, dead=True)
    folder.config.write_text(yaml.safe_dump(dict(spec.config)))
    folder.update(status=status, **more)


def carried_out(sweep: Sweep, engine: Engine, options: SweepOptions) -> tuple[SweepResult, list[SweepEvent]]:
    events: list[SweepEvent] = []
    return train_sweep(sweep, engine, options, events.append), events


@pytest.fixture
def options(tmp_path: Path) -> SweepOptions:
    return SweepOptions(tmp_path / "runs", command=("rnnlab", "sweep"))


def test_a_sweep_is_a_set(options: SweepOptions) -> None:
    first, second = Scripted(), Scripted()
    result, events = carried_out(small(), first, options)
    assert (result.runs, result.trained, result.completed, result.failures) == (4, 4, 4, ())
    assert first.trained() == [["lstm-T20-s0", "lstm-T20-s1"], ["lstm-T10-s0", "lstm-T10-s1"]]  # the costlier first
    assert len(events[0].planned) == 2
    result, _ = carried_out(small(seeds=3), second, options)
    assert second.trained() == [["lstm-T20-s2"], ["lstm-T10-s2"]]
    assert (result.runs, result.trained, result.completed) == (6, 2, 6)
    third = Scripted(before=lambda: pytest.fail("nothing is missing"))
    assert carried_out(small(), third, options)[0].trained == 0


def test_runs_that_train_made_count(options: SweepOptions) -> None:
    member = small().members[0]
    rnnlab.train(member.config.model_copy(update={"name": "by-hand", "notes": "mine"}), out=options.out)
    engine = Scripted()
    result, _ = carried_out(small(), engine, options)
    assert (result.completed, result.trained) == (4, 3)
    assert member.name not in engine.names()


def test_an_edited_sweep_says_what_it_leaves(options: SweepOptions) -> None:
    carried_out(small([10, 20], name="mine"), Scripted(), options)
    carried_out(small([90], name="another"), Scripted(), options)
    planned = forecast(small([20, 30], name="mine"), options)
    assert planned.count == {"completed": 2, "new": 2}
    assert (planned.dropped, planned.to_train, planned.fleets) == (2, 2, 1)
    assert planned.seconds > 0
    assert planned.bytes > 0
    result, _ = carried_out(small([20, 30], name="mine"), Scripted(), options)
    assert (result.completed, result.trained, result.dropped) == (4, 2, 2)


def test_at_most_so_many_runs(options: SweepOptions) -> None:
    limited = SweepOptions(options.out, max_runs=3)
    for trained, left in ((3, 1), (1, 0), (0, 0)):
        result, _ = carried_out(small(), Scripted(), limited)
        assert (result.trained, result.left) == (trained, left)
    assert carried_out(small(seeds=9), Scripted(), SweepOptions(options.out, max_runs=0))[0].left == 14


def test_a_death_is_retried_with_what_is_left(options: SweepOptions) -> None:
    engine = Scripted("died", "done", "died")
    result, _ = carried_out(small(), engine, options)
    assert result.completed == 4
    assert [(job.attempt, {spec.resume for spec in job.runs}) for job in engine.jobs] == [
        (0, {False}),
        (0, {False}),
        (1, {True}),
        (2, {True}),
    ]


def test_what_dies_three_times_has_failed(options: SweepOptions) -> None:
    engine = Scripted("died", "done", "died", "died")
    result, _ = carried_out(small(), engine, options)
    assert (result.completed, len(engine.jobs)) == (2, 4)
    assert [(failure.name, failure.why) for failure in result.failures] == [
        ("lstm-T20-s0", "why; tried 3 times"),
        ("lstm-T20-s1", "why; tried 3 times"),
    ]
    command = f"rnnlab train --config {options.out}/lstm-T20-s0/config.yaml --out {options.out} --force"
    assert result.failures[0].command == command


def test_of_a_fleet_that_raised_each_run_is_tried_alone(options: SweepOptions) -> None:
    engine = Scripted("raised", "done", "done", "raised")
    result, _ = carried_out(small(), engine, options)
    assert [len(job.runs) for job in engine.jobs] == [2, 2, 1, 1]
    assert (result.completed, [failure.why for failure in result.failures]) == (3, ["why"])


def test_what_this_process_left_running_is_nobody_elses(options: SweepOptions) -> None:
    engine = Scripted("stuck")
    result, _ = carried_out(small(), engine, options)
    assert [len(job.runs) for job in engine.jobs] == [2, 2, 1, 1]
    assert (result.completed, result.elsewhere) == (4, 0)


def test_what_failed_is_tried_again_only_when_asked(options: SweepOptions) -> None:
    carried_out(small(), Scripted("raised", "done", "raised", "raised"), options)
    engine = Scripted(before=lambda: pytest.fail("nothing is missing"))
    assert len(carried_out(small(), engine, options)[0].failures) == 2
    engine = Scripted()
    result, _ = carried_out(small(), engine, SweepOptions(options.out, retry_failed=True))
    assert engine.trained() == [["lstm-T20-s0", "lstm-T20-s1"]]
    assert (result.completed, result.failures) == (4, ())


def test_a_system_that_refuses_ends_the_sweep(options: SweepOptions) -> None:
    engine = Scripted("refused")
    with pytest.raises(RunFailedError, match="why"):
        carried_out(small(), engine, options)
    assert len(engine.jobs) == 1
    assert carried_out(small(), Scripted(), options)[0].completed == 4


def test_what_another_holds_is_let_alone(options: SweepOptions) -> None:
    members = small().members
    with Claims(options.out) as theirs:
        theirs.take([members[0].identity])
        result, _ = carried_out(small(), Scripted(), options)
    assert (result.trained, result.elsewhere) == (3, 1)
    assert carried_out(small(), Scripted(), options)[0].trained == 1


def test_what_is_resumed_elsewhere_is_let_alone(options: SweepOptions) -> None:
    """`rnnlab train --resume` has the folder and not the identity."""
    member = small().members[0]
    write(RunSpec("old", member.identity, member.config.resolved()), Job(1, (), str(options.out)), "interrupted")
    with Claims(options.out) as theirs:
        theirs.take([folder_key("old")])
        engine = Scripted()
        result, _ = carried_out(small(), engine, options)
        assert "old" not in engine.names()
        assert (result.trained, result.elsewhere) == (3, 1)
    assert carried_out(small(), Scripted(), options)[0].trained == 1


def test_a_sweep_has_the_folders_that_it_trains_in(options: SweepOptions) -> None:
    class Holding(Scripted):
        def train(self, jobs: JobSource, on_event: EventCallback) -> None:
            job = jobs.take()
            assert job is not None
            with Claims(options.out) as theirs:
                assert theirs.take([folder_key(run.name) for run in job.runs]) == set()
            on_event(Event("started", job.number))
            on_event(Event("done", job.number))
            with Claims(options.out) as theirs:
                assert len(theirs.take([folder_key(run.name) for run in job.runs])) == len(job.runs)

    carried_out(small([10]), Holding(), options)


def test_what_another_finished_meanwhile_is_not_trained(options: SweepOptions) -> None:
    member = small().members[0]

    def another() -> None:
        write(RunSpec("theirs", member.identity, member.config.resolved()), Job(1, (), str(options.out)))

    engine = Scripted(before=another)
    result, _ = carried_out(small(), engine, options)
    assert member.name not in engine.names()
    assert (result.trained, result.completed) == (3, 4)


def test_a_taken_name_is_no_obstacle(options: SweepOptions) -> None:
    member = small().members[0]
    write(RunSpec(member.name, "another identity", {}), Job(1, (), str(options.out)))
    result, _ = carried_out(small(), Scripted(), options)
    assert result.completed == 4
    assert (Path(options.out) / f"{member.name}-{member.identity[:8]}").is_dir()


@pytest.mark.parametrize("sweep", ["mine", None])
def test_what_a_lost_machine_was_training_is_taken_over(
    sweep: str | None, options: SweepOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a sweep that nobody claims any more; a run of `rnnlab train` on another machine may well go on."""
    monkeypatch.setattr(orphans, "_TIMEOUT", 0.0)
    member = small().members[0]
    spec = RunSpec(member.name, member.identity, member.config.resolved())
    write(spec, Job(1, (), str(options.out), sweep=sweep), "running", process=AWAY)
    result, _ = carried_out(small(name="mine"), Scripted(), options)
    assert (result.completed, result.elsewhere) == ((4, 0) if sweep else (3, 1))


def test_interrupted_runs_go_on_under_their_names(options: SweepOptions) -> None:
    member = small().members[0]
    write(RunSpec("old", member.identity, member.config.resolved()), Job(1, (), str(options.out)), "interrupted")
    with Index(options.out) as index:
        index.refresh()
        status = sweep_status(small(), index)
    assert status.interrupted == 1
    engine = Scripted()
    carried_out(small(), engine, options)
    assert "old" in engine.names()


def test_what_no_run_could_do_is_told_before_any(options: SweepOptions, tmp_path: Path) -> None:
    for base, error in (
        ({"task": {"name": "text", "path": str(tmp_path / "none.txt")}}, DataMissingError),
        ({**SMALL, "device": "cuda:99"}, DeviceMissingError),
    ):
        with pytest.raises(error, match=r"none\.txt|cuda:99"):
            train_sweep(load_sweep({"base": base, "seeds": 2}), Inline(), options)
    assert not Path(options.out).exists()


def test_fleets_or_alone_the_runs_are_the_same(tmp_path: Path) -> None:
    given = {"base": {**SMALL, "dtype": "float64"}, "axes": {"grid": {"clip": ["none", "norm"]}}, "seeds": 2}
    for name, fleets in (("together", True), ("alone", False)):
        result = rnnlab.sweep(given, out=tmp_path / name, engine="inline", fleets=fleets)
        assert result.completed == 4
    together, alone = (rnnlab.load_runs(tmp_path / name) for name in ("together", "alone"))
    assert {run.info["fleet"] for run in together} == {4}
    assert {run.info["fleet"] for run in alone} == {1}
    ours, theirs = (runs.gradients.select_dtypes("number") for runs in (together, alone))
    assert ((ours - theirs).abs().fillna(0) < 1e-10).all(axis=None)


def test_one_fleet_trains_here_and_several_in_their_own_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []
    for kind in (Inline, Local):
        monkeypatch.setattr(kind, "train", lambda self, jobs, on_event: used.append(self.name))
    train_sweep(small([10]), None, SweepOptions(tmp_path))
    train_sweep(small([10, 20]), None, SweepOptions(tmp_path))
    assert used == ["inline", "local"]
