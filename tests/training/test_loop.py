"""A run from config to folder: nothing is disturbed by measuring, and the folder says what happened."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from oracles import WITH_RULE
from scans import cells_and_scans
from trainings import config, weights

from rnnlab.cells import CELLS
from rnnlab.clips import CLIPS
from rnnlab.config import Config
from rnnlab.errors import RunExistsError
from rnnlab.optimizers import OPTIMIZERS
from rnnlab.probes import PROBES
from rnnlab.runs.run import Run
from rnnlab.training.checkpoints import parameters_of
from rnnlab.training.fleet import Fleet
from rnnlab.training.loop import train
from rnnlab.training.plan import plan, updates_of

EVERYTHING = {"schedule": 1, "which": list(PROBES)}


@pytest.mark.long
@cells_and_scans
def test_weights_are_bit_identical_with_all_probes_and_with_none(cell: str, scan: str, tmp_path: Path) -> None:
    on = config(model={"cell": cell, "layers": 2}, train={"updates": 10, "scan": scan}, probe=EVERYTHING)
    off = config(model={"cell": cell, "layers": 2}, train={"updates": 10, "scan": scan}, probe={"which": []})
    assert set(on.probe.which) == set(PROBES)
    measured, blind = train(on, out=tmp_path / "on"), train(off, out=tmp_path / "off")
    assert weights(measured) == weights(blind)
    assert len(measured.gradients) == 10 * 12 * len(CELLS[cell].states) * 2
    assert blind.gradients.empty


@pytest.mark.long
@pytest.mark.parametrize("clip", list(CLIPS))
@pytest.mark.parametrize("cell", WITH_RULE)
def test_both_scans_train_the_same_network(cell: str, clip: str, tmp_path: Path) -> None:
    options = {} if clip == "none" else {"threshold": 0.01}
    runs = [
        train(
            config(model={"cell": cell}, clip={"name": clip, **options}, train={"scan": scan}, dtype="float64"),
            out=tmp_path / scan,
        )
        for scan in ("fast", "general")
    ]
    assert [run.info["scan"] for run in runs] == ["fast", "general"]
    ours, theirs = (parameters_of(run) for run in runs)
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=1e-9)
    fast, general = (run.gradients for run in runs)
    assert list(fast[["update", "layer", "state", "t", "lag"]].itertuples(index=False)) == list(
        general[["update", "layer", "state", "t", "lag"]].itertuples(index=False)
    )
    for column in ("log10_norm", "log10_p05", "log10_median", "log10_p95", "log10_direct"):
        np.testing.assert_allclose(fast[column], general[column], atol=1e-6)
    for column in ("loss", "error", "grad_norm", "grad_norm_clipped", "clipped", "weight_norm", "saturation"):
        np.testing.assert_allclose(runs[0].metrics[column], runs[1].metrics[column], atol=1e-8)


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_the_same_seed_repeats_the_run_and_another_does_not(optimizer: str, tmp_path: Path) -> None:
    first, again, other = (train(config(optimizer={"name": optimizer}, seed=seed), out=tmp_path) for seed in (3, 3, 4))
    assert first.name != again.name
    assert weights(first) == weights(again)
    assert weights(first) != weights(other)


def test_the_resolved_config_repeats_the_run(tmp_path: Path) -> None:
    first = train(config(name="first"), out=tmp_path)
    again = train(
        Config.model_validate(yaml.safe_load((first.path / "config.yaml").read_text()) | {"name": "again"}),
        out=tmp_path,
    )
    assert weights(first) == weights(again)
    assert first.gradients.equals(again.gradients)


def test_random_state_is_untouched(tmp_path: Path) -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].tobytes()
    train(config(), out=tmp_path)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tobytes()


def test_metrics_say_what_happened(tmp_path: Path) -> None:
    """Norms against the clip, the change of weights against the weights, evaluations where they are due."""
    run = train(config(clip={"name": "norm", "threshold": 0.1}, probe={"schedule": 1}), out=tmp_path)
    metrics = run.metrics
    assert list(metrics["update"]) == list(range(20))
    np.testing.assert_allclose(metrics["grad_norm_clipped"], np.minimum(metrics["grad_norm"], 0.1), rtol=1e-5)
    assert list(metrics["clipped"]) == list((metrics["grad_norm"] > 0.1).astype(float))
    assert list(metrics["update"][metrics["eval_loss"].notna()]) == [9, 19]
    final = np.sqrt(sum((w.astype(np.float64) ** 2).sum() for w in parameters_of(run).values()))
    assert metrics["weight_norm"].iloc[-1] == pytest.approx(final)
    W_hh = parameters_of(train(config(train={"updates": 1}, optimizer={"name": "sgd", "lr": 1e-12}), out=tmp_path))[
        "layer0.W_hh"
    ]
    blocks = [W_hh[:, k * 7 : (k + 1) * 7].astype(np.float64) for k in range(4)]
    assert metrics["recurrent_radius"][0] == pytest.approx(
        max(abs(np.linalg.eigvals(b)).max() for b in blocks), rel=1e-5
    )
    assert metrics["recurrent_sigma_max"][0] == pytest.approx(1, rel=1e-5)
    assert (metrics["saturation"].between(0, 1)).all()
    assert metrics["seconds"].is_monotonic_increasing


def test_the_loss_in_metrics_is_that_of_the_first_batch(tmp_path: Path) -> None:
    """Update 0 is measured before any weight has moved."""
    run = train(config(probe={"schedule": [0]}), out=tmp_path)
    fleet = Fleet(config().seeded(0))
    step = fleet.measure(fleet.sequences([next(fleet.streams[0])]))
    assert run.metrics["loss"][0] == pytest.approx(step.losses.item())


def test_a_run_says_where_it_came_from(tmp_path: Path) -> None:
    csv = tmp_path / "series.csv"
    csv.write_text("x\n" + "\n".join(str(np.sin(k / 3)) for k in range(400)))
    run = train(
        config(task={"name": "series", "path": str(csv), "column": "x", "length": 10}, notes="a note"),
        out=tmp_path / "runs",
    )
    info = json.loads((run.path / "run.json").read_text())
    assert info["status"] == "completed"
    assert info["seed"] == 0
    assert info["versions"]["torch"] == torch.__version__
    (data,) = info["data"]
    assert data["path"] == str(csv)
    assert len(data["sha256"]) == 64
    assert set(info["result"]) >= {"loss", "error", "eval_loss", "eval_error", "test_loss", "test_error", "clip_rate"}


def test_a_taken_name_is_refused_before_anything_runs(tmp_path: Path) -> None:
    first = train(config(name="mine"), out=tmp_path)
    with pytest.raises(RunExistsError, match="mine"):
        train(config(name="mine", seed=1), out=tmp_path)
    assert weights(Run(first.path)) == weights(first)
    assert weights(train(config(name="mine", seed=1), out=tmp_path, force=True)) != {}


@pytest.mark.long
@pytest.mark.parametrize("clip", list(CLIPS))
@pytest.mark.parametrize("cell", list(CELLS))
def test_the_plan_is_what_comes(cell: str, clip: str, tmp_path: Path) -> None:
    options = {} if clip == "none" else {"threshold": 1.0}
    settings = config(model={"cell": cell, "layers": 2}, clip={"name": clip, **options}, probe={"timesteps": 5})
    expected, run = plan(settings), train(settings, out=tmp_path)
    assert expected.parameters == run.info["parameters"]
    assert expected.gradient_rows == len(run.gradients)
    assert expected.metrics_rows == len(run.metrics)
    assert expected.updates == run.info["updates"] == updates_of(settings)
    taken = sum(path.stat().st_size for path in run.path.iterdir())
    assert 0.3 * taken < expected.bytes < 3 * taken
