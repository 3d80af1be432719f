"""A fleet is its runs: each with its own weights, clip, optimizer and end, and the numbers that it would have alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from trainings import fleet_config as config
from trainings import updated_together_and_alone

from rnnlab.config import Config
from rnnlab.optimizers import OPTIMIZERS
from rnnlab.progress import Progress
from rnnlab.runs.run import Run
from rnnlab.sweeps.jobs import Event, Job, RunSpec
from rnnlab.sweeps.packing import PendingRun, fleets_of
from rnnlab.training.fleet import Fleet
from rnnlab.training.loop import train, train_fleet
from rnnlab.training.start import Start


def mixed(optimizer: str) -> list[Config]:
    """Runs of one shape that differ in all that a replica has for itself."""
    clips: list[Any] = ["none", {"name": "norm", "threshold": 0.05}, {"name": "value", "threshold": 0.01}]
    inits: list[Any] = ["orthogonal", "identity", "normal"]
    return [
        config(
            clip=clip,
            model={"cell": "lstm", "hidden": 7, "init": {"recurrent": init}},
            optimizer={"name": optimizer, "lr": 0.01 * (k + 1)},
            seed=k,
        )
        for k, (clip, init) in enumerate(zip(clips, inits, strict=True))
    ]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_fleet_of_unlike_runs_is_the_runs_alone(optimizer: str) -> None:
    updated_together_and_alone(mixed(optimizer))


@pytest.mark.parametrize("scan", ["fast", "general"])
def test_each_replica_has_its_own_adjoint_clip(scan: str) -> None:
    train_ = {"batch": 4, "updates": 20, "evaluate_size": 20, "scan": scan}
    configs = [
        config(clip={"name": "adjoint", "threshold": bound}, train=train_, seed=k)
        for k, bound in enumerate((1e-3, 1e-5))
    ]
    fleet, alone = Fleet(configs), [Fleet([one]) for one in configs]
    together, singly = fleet.compute_gradients(), [one.compute_gradients() for one in alone]
    for r, one in enumerate(singly):
        assert together.clipped[r] == pytest.approx(one.clipped[0], abs=1e-12)
        torch.testing.assert_close(together.gradients[r], one.gradients[0], rtol=0, atol=1e-10)
    assert together.clipped[1] > together.clipped[0]


def test_runs_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        Fleet([config(), config(model={"cell": "lstm", "hidden": 8})])


def test_what_a_replica_skips_does_not_count_for_its_neighbours() -> None:
    """Adam corrects its means by the number of updates, which is each replica's own."""
    configs = config().seeded(0, 1)
    fleet, alone = Fleet(configs), [Fleet([one]) for one in configs]
    for update in range(6):
        for one, stands in ((fleet, 1), (alone[1], 0)):
            taken = one.compute_gradients()
            if update == 2:
                taken.finite[stands] = False
            one.apply_gradients(taken)
        alone[0].update()
    for r, one in enumerate(alone):
        torch.testing.assert_close(fleet.flat[r], one.flat[0], rtol=0, atol=1e-10)


def test_one_diverges_one_succeeds_and_the_rest_go_on(tmp_path: Path) -> None:
    wild = config(optimizer={"name": "sgd", "lr": 1e9}, model={"cell": "rnn", "nonlinearity": "linear", "hidden": 7})
    calm = {"model": {"cell": "rnn", "nonlinearity": "linear", "hidden": 7}, "optimizer": {"name": "sgd", "lr": 1e-3}}
    brief = {"batch": 4, "updates": 20, "evaluate_every": 10, "evaluate_size": 20, "stop": "loss < 100"}
    soon = config(**calm, seed=1, train=brief)
    configs = [wild, soon, config(**calm, seed=2)]
    folders = train_fleet([Start(one, f"run{k}") for k, one in enumerate(configs)], out=tmp_path)
    runs = [Run(folder.path) for folder in folders]
    assert [run.status for run in runs] == ["diverged", "completed", "completed"]
    assert [run.info["updates"] for run in runs[1:]] == [10, 20]
    alone = train(configs[2].model_copy(update={"name": "alone"}), out=tmp_path)
    pd.testing.assert_frame_equal(runs[2].gradients, alone.gradients, rtol=1e-8)


def specs(configs: list[Config]) -> tuple[RunSpec, ...]:
    return tuple(RunSpec(f"run{k}", config.identity(), config.resolved()) for k, config in enumerate(configs))


def test_runs_are_grouped_by_shape() -> None:
    configs = [*mixed("adam"), config(model={"cell": "gru", "hidden": 7}), config(clip={"name": "adjoint"})]
    pending = list(map(PendingRun, configs, specs(configs)))
    assert sorted(len(fleet) for fleet in fleets_of(pending)) == [1, 1, 3]
    assert [len(fleet) for fleet in fleets_of(pending, together=False)] == [1] * 5
    many = [PendingRun(one, *specs([one])) for one in config().seeded(*range(70))]
    assert sorted(len(fleet) for fleet in fleets_of(many)) == [23, 23, 24]


def test_jobs_and_events_survive_json() -> None:
    job = Job(1, specs([config()]), "runs", ("rnnlab", "sweep"), 1, 2.5)
    assert Job.from_json(job.to_json()) == job
    event = Event("progress", 1, progress=Progress(3, 7, losses=(0.5, float("inf")), rate=2.5))
    assert Event.from_json(event.to_json()) == event
