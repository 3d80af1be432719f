"""Cells that own their step through everything that is made of runs: one run, a fleet, a sweep, probes, a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from oracles import loop
from trainings import fleet_config, updated_together_and_alone, weights

import rnnlab
from rnnlab.config import Config
from rnnlab.errors import ConfigError
from rnnlab.training.checkpoints import parameters_of
from rnnlab.training.fleet import Fleet
from rnnlab.training.loop import train

MODELS: list[dict[str, Any]] = [{"cell": "gru", "reset": "before"}, {"cell": "mgu"}]
every_model = pytest.mark.parametrize("model", MODELS, ids=["gru-before", "mgu"])


def of(model: dict[str, Any], **changes: Any) -> Config:
    return fleet_config(**{"model": {**model, "hidden": 5, "layers": 2}, **changes})


def config_of(model: dict[str, Any], seed: int, updates: int = 3) -> Config:
    train_ = {"batch": 4, "updates": updates, "evaluate_every": 0, "evaluate_size": 8}
    return of(model, train=train_, probe={"schedule": 1}, optimizer={"name": "sgd", "lr": 0.1}, seed=seed)


@every_model
def test_a_run_reads_and_learns_what_a_plain_loop_does(model: dict[str, Any], tmp_path: Path) -> None:
    """Stochastic gradient descent by hand on the loop's gradients, on the batches of the same stream."""
    config = config_of(model, seed=4)
    fleet, run = Fleet([config]), train(config, out=tmp_path)
    network = fleet.network
    for update in range(3):
        batch = fleet.sequences([next(fleet.streams[0])])
        answer = loop(network, batch, fleet.objective, 0)
        rows = run.gradients[run.gradients["update"] == update]
        for (layer, state), adjoint in answer.adjoints.items():
            here = rows[(rows["layer"] == layer) & (rows["state"] == state)].sort_values("t")
            norms = adjoint.norm(dim=(1, 2)).log10().numpy()
            np.testing.assert_allclose(here["log10_norm"], norms, rtol=0, atol=1e-9)
        metrics = run.metrics.set_index("update").loc[update]
        whole = torch.cat([gradient.flatten() for gradient in answer.gradients.values()])
        assert metrics["loss"] == pytest.approx(answer.loss.item(), rel=1e-9)
        assert metrics["grad_norm"] == pytest.approx(whole.norm().item(), rel=1e-9)
        squares = [W[0] for layer in network.layers for W in layer.recurrent.values()]
        radii = [np.abs(np.linalg.eigvals(block.numpy())).max() for W in squares for block in W.split(5, 1)]
        assert metrics["recurrent_radius"] == pytest.approx(max(radii), rel=1e-9)
        for name, parameter in network.parameters.items():
            parameter[0] -= 0.1 * answer.gradients[name]
    assert run.info["scan"] == "general"
    for name, value in parameters_of(run).items():
        np.testing.assert_allclose(value, network.parameters[name][0].numpy(), rtol=0, atol=1e-12)


@pytest.mark.long
@every_model
def test_a_fleet_is_its_runs(model: dict[str, Any]) -> None:
    clips: list[Any] = [{"name": "norm", "threshold": 0.05}, "none", {"name": "value", "threshold": 0.01}]
    inits: list[Any] = ["orthogonal", "identity", {"name": "normal", "spectral_radius": 1.2}]
    updated_together_and_alone(
        [
            of({**model, "init": {"recurrent": init}}, clip=clip, seed=k)
            for k, (clip, init) in enumerate(zip(clips, inits, strict=True))
        ]
    )


def test_a_sweep_trains_them_beside_others_and_a_report_tells_them_apart(tmp_path: Path) -> None:
    base = config_of({}, seed=0, updates=6).resolved() | {"model": {"hidden": 5}, "name": None}
    axes = {
        "list": [
            {"model.cell": "gru"},
            {"model.cell": "gru", "model.reset": "before"},
            {"model.cell": "mgu"},
        ]
    }
    result = rnnlab.sweep({"base": base, "axes": axes, "seeds": 2}, out=tmp_path, engine="inline")
    runs = rnnlab.load_runs(tmp_path)
    assert len(runs) == 6, result
    assert {run.status for run in runs} == {"completed"}
    rates = runs.group_by("model.cell", "model.reset").decay_rates()
    assert len(rates) == 3
    one = next(run for run in runs if run.config["model"]["cell"] == "mgu" and run.config["seed"] == 1)
    alone = train(Config.model_validate({**one.config, "name": "alone"}), out=tmp_path / "alone")
    for name, value in parameters_of(alone).items():
        np.testing.assert_allclose(value, parameters_of(one)[name], rtol=0, atol=1e-10)


def test_runs_with_the_reset_before_and_after_are_no_fleet() -> None:
    with pytest.raises(ValueError, match="of one shape"):
        Fleet([of({"cell": "gru"}), of(MODELS[0])])


@every_model
def test_trained_twice_it_ends_in_the_same_bits(model: dict[str, Any], tmp_path: Path) -> None:
    whole = train(config_of(model, seed=1, updates=6), out=tmp_path / "whole")
    again = train(config_of(model, seed=1, updates=6), out=tmp_path / "again")
    assert weights(whole) == weights(again)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"cell": "mgu", "reset": "before"}, r"mgu has its reset fixed, or none; gru can choose"),
        ({"cell": "lstm", "reset": "after"}, r"lstm has its reset fixed, or none; gru can choose"),
        ({"cell": "gru", "recurrent_bias": False}, r"gru cannot be without it"),
        ({"cell": "mgu", "init": {"bias": {"name": "chrono", "t_max": 9}}}, r"needs a forget gate .* u, n"),
    ],
)
def test_a_mistake_is_named(model: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        rnnlab.load_config({"task": "copy", "model": model})


def test_the_compiled_scan_is_refused_by_name() -> None:
    for model in MODELS:
        with pytest.raises(ConfigError, match="has no rule for the fast scan"):
            rnnlab.load_config({"task": "copy", "model": model, "train": {"scan": "fast"}})


def test_the_reset_before_needs_no_second_bias() -> None:
    filled = rnnlab.load_config({"task": "copy", "model": MODELS[0]}).model
    assert (filled.reset, filled.recurrent_bias) == ("before", False)
    assert rnnlab.load_config({"task": "copy", "model": {**MODELS[0], "init": "torch"}}).model.recurrent_bias
    assert rnnlab.load_config({"task": "copy", "model": {"cell": "gru"}}).model.reset == "after"
