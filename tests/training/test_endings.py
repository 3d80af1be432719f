"""How a run ends: diverged, stopped, interrupted or failed, and what it keeps then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainings import EXPLODING, config

from rnnlab.errors import RunFailedError
from rnnlab.runs.run import Run
from rnnlab.runs.writers import GradientLog
from rnnlab.training.checkpoints import parameters_of
from rnnlab.training.fleet import Fleet
from rnnlab.training.loop import train


def test_an_explosion_is_a_result(tmp_path: Path) -> None:
    run = train(config(**EXPLODING), out=tmp_path)
    assert run.status == "diverged"
    assert "not finite at update" in run.info["reason"]
    last = run.gradients[run.gradients["update"] == run.gradients["update"].max()]
    assert last["log10_norm"].iloc[0] - last["log10_norm"].iloc[-1] == pytest.approx(199 * np.log10(2), abs=0.01)
    assert run.metrics["update"].iloc[-1] == run.gradients["update"].max()


def test_clipping_by_norm_goes_on_where_the_gradient_leaves_float32(tmp_path: Path) -> None:
    """The norm is beyond 1e38, and what the optimizer gets has the threshold's norm and finite entries."""
    changes = {**EXPLODING, "train": {"updates": 1}, "optimizer": {"name": "sgd", "lr": 1e-9}}
    run = train(config(**changes, clip={"name": "norm", "threshold": 1e-3}), out=tmp_path)
    # A bias of 1e-12 grows by 2^200 too, so the evaluation after this one update is out of range.
    assert "not finite after the last update" in run.info["reason"]
    assert run.metrics["grad_norm"][0] > 1e38
    assert run.metrics["grad_norm_clipped"][0] == pytest.approx(1e-3, rel=1e-4)
    assert run.metrics["update_norm"][0] == pytest.approx(1e-12, rel=1e-3)


def test_skip_leaves_the_weights_and_counts(tmp_path: Path) -> None:
    before = Fleet(config(**EXPLODING).seeded(0)).network.parameters
    run = train(config(**EXPLODING | {"train": EXPLODING["train"] | {"nonfinite": "skip"}}), out=tmp_path)
    assert run.status == "completed"
    assert run.info["result"]["nonfinite_updates"] == 4
    for name, array in parameters_of(run).items():
        np.testing.assert_array_equal(array, before[name][0])


def test_the_stop_rule_ends_the_run(tmp_path: Path) -> None:
    run = train(config(train={"stop": "loss < 100"}), out=tmp_path)
    assert run.info["updates"] == 10
    assert run.status == "completed"
    assert "stop rule met: loss < 100" in run.info["reason"]


class StoppedError(Exception):
    """Stands in for a failure in the middle."""


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt(), "interrupted"), (StoppedError("mid"), "failed")])
def test_what_ends_early_keeps_its_rows(
    error: BaseException, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, real = [], Fleet.compute_gradients

    def take(fleet: Fleet) -> Any:
        if len(made) == 6:
            raise error
        made.append(1)
        return real(fleet)

    monkeypatch.setattr(Fleet, "compute_gradients", take)
    with pytest.raises(type(error)):
        train(config(name="early", probe={"schedule": 1}), out=tmp_path)
    run = Run(tmp_path / "early")
    assert run.status == status
    assert run.info["updates"] == 6
    assert sorted(set(run.gradients["update"])) == list(range(6))


def test_a_full_disk_is_a_failed_run_that_keeps_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written, real = [], GradientLog.write

    def write(log: GradientLog, update: int, *rest: Any, **columns: Any) -> None:
        if update == 3:
            raise RunFailedError("gradients.csv cannot be written: No space left on device")
        written.append(update)
        real(log, update, *rest, **columns)

    monkeypatch.setattr(GradientLog, "write", write)
    with pytest.raises(RunFailedError, match="No space left"):
        train(config(name="full", probe={"schedule": 1}), out=tmp_path)
    run = Run(tmp_path / "full")
    assert run.status == "failed"
    assert "No space left" in run.info["reason"]
    assert sorted(set(run.gradients["update"])) == [0, 1, 2]
