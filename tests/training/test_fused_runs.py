"""Whole trainings on torch's fused layers: weights, readings and clips are those of the compiled scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated_device import simulated_device
from trainings import EXPLODING, config, interrupted_after, weights

import rnnlab
from rnnlab.probes import PROBES
from rnnlab.runs.run import Run
from rnnlab.sweeps.driver import train_sweep
from rnnlab.sweeps.engines import Inline
from rnnlab.sweeps.file import load_sweep
from rnnlab.sweeps.results import SweepOptions
from rnnlab.training.checkpoints import parameters_of
from rnnlab.training.fleet import Fleet
from rnnlab.training.loop import train, train_fleet
from rnnlab.training.start import Start

TASKS: list[dict[str, Any]] = [{"name": "addition", "length": 12, "jitter": 0.5}, {"name": "copy", "length": 3}]
LOGS = ("log10_norm", "log10_p05", "log10_median", "log10_p95", "log10_direct")


def on_both_scans(tmp_path: Path, **changes: Any) -> tuple[Run, Run]:
    given = changes.pop("train", {})
    ours, theirs = (
        train(config(**changes, train={**given, "scan": scan}), out=tmp_path / scan) for scan in ("fused", "fast")
    )
    assert (ours.info["scan"], theirs.info["scan"]) == ("fused", "fast")
    assert ours.status == theirs.status
    return ours, theirs


@pytest.mark.long
@pytest.mark.parametrize("task", TASKS, ids=["ragged", "at every timestep"])
@pytest.mark.parametrize("clip", ["none", "norm"])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_trains_the_network_of_the_compiled_scan(cell: str, clip: str, task: dict[str, Any], tmp_path: Path) -> None:
    clipping = {"name": clip, **({} if clip == "none" else {"threshold": 0.01})}
    model = {"cell": cell, "layers": 2}
    ours, theirs = on_both_scans(tmp_path, model=model, clip=clipping, task=task, dtype="float64")
    trained = parameters_of(theirs)
    for name, array in parameters_of(ours).items():
        np.testing.assert_allclose(array, trained[name], rtol=0, atol=1e-9)
    for name in LOGS:
        np.testing.assert_allclose(ours.gradients[name], theirs.gradients[name], atol=1e-6)
    figures = ours.metrics.columns.drop("seconds")
    np.testing.assert_allclose(ours.metrics[figures], theirs.metrics[figures], rtol=1e-6, atol=1e-12)


def test_weights_are_bit_identical_with_all_probes_and_with_none(tmp_path: Path) -> None:
    lengths = {"updates": 20, "scan": "fused"}
    measured = train(config(train=lengths, probe={"schedule": 1, "which": list(PROBES)}), out=tmp_path / "on")
    blind = train(config(train=lengths, probe={"which": []}), out=tmp_path / "off")
    assert weights(measured) == weights(blind)
    assert len(measured.gradients) == 20 * 12 * 2


def test_an_explosion_beyond_float32_is_read_and_clipped_as_on_the_compiled_scan(tmp_path: Path) -> None:
    """What the layers give is no number then; without the other scan the run would end as diverged at once."""
    exploding = {**EXPLODING, "model": {**EXPLODING["model"], "nonlinearity": "tanh"}}
    ours, theirs = on_both_scans(tmp_path, **exploding, clip={"name": "norm", "threshold": 1.0})
    first = ours.gradients[ours.gradients["update"] == 0]
    assert first["log10_norm"].max() > 50
    np.testing.assert_array_equal(first["log10_norm"], theirs.gradients["log10_norm"][: len(first)])
    assert ours.status == "completed"
    assert ours.metrics["clipped"].tolist() == theirs.metrics["clipped"].tolist()
    assert ours.metrics["grad_norm"][0] == theirs.metrics["grad_norm"][0] > 1e50


def test_an_interrupted_run_goes_on_to_the_bit(tmp_path: Path) -> None:
    settings = config(name="run", train={"updates": 6, "checkpoint_seconds": 0, "scan": "fused"})
    whole = train(settings, out=tmp_path / "whole")
    with interrupted_after(3), pytest.raises(KeyboardInterrupt, match="stop"):
        train(settings, out=tmp_path / "cut")
    again = train(settings, out=tmp_path / "cut", resume=True)
    assert weights(again) == weights(whole)
    assert again.dir.gradients.read_bytes() == whole.dir.gradients.read_bytes()


def test_runs_of_a_sweep_are_fleets_of_one(tmp_path: Path) -> None:
    base = {"task": {"name": "addition", "length": 10}, "model": {"hidden": 3}, "device": "cpu"}
    quick = {"batch": 2, "updates": 2, "evaluate_size": 4}
    for scan, size in (("fused", 1), ("fast", 3)):
        sweep = load_sweep({"base": {**base, "train": {**quick, "scan": scan}}, "seeds": 3})
        train_sweep(sweep, Inline(), SweepOptions(tmp_path / scan))
        assert [run.info["fleet"] for run in rnnlab.load_runs(tmp_path / scan)] == [size] * 3


def test_a_run_of_a_fleet_that_is_resumed_alone_stays_on_its_scan(tmp_path: Path) -> None:
    lasting = {"updates": 6, "checkpoint_seconds": 0}
    configs = [config(device="cuda", name=f"run{seed}", seed=seed, train=lasting) for seed in (0, 1)]
    starts = [Start(each, str(each.name)) for each in configs]
    with simulated_device():
        whole, _ = train_fleet(starts, out=tmp_path / "whole")
        with interrupted_after(3), pytest.raises(KeyboardInterrupt, match="stop"):
            train_fleet(starts, out=tmp_path / "cut")
        again = train(configs[0], out=tmp_path / "cut", resume=True)
    assert weights(again) == weights(Run(whole.path))


def test_runs_that_are_left_of_a_fleet_stay_on_its_scan() -> None:
    """Alone and from the start, `auto` would have taken the fused layers."""
    with simulated_device():
        fleet = Fleet([config(device="cuda", seed=seed) for seed in (0, 1)])
        assert (fleet.scan, fleet.pick([1]).scan) == ("general", "general")
        assert Fleet([config(device="cuda")]).scan == "fused"
