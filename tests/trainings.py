"""Configs of small trainings, and the weights that they end with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from rnnlab.config import Config
from rnnlab.runs.run import Run
from rnnlab.training.checkpoints import parameters_of
from rnnlab.training.fleet import Fleet
from rnnlab.training.loop import train

SMALL: dict[str, Any] = {
    "task": {"name": "addition", "length": 12},
    "model": {"cell": "lstm", "hidden": 7},
    "optimizer": {"name": "adam", "lr": 0.01},
    "train": {"batch": 5, "updates": 20, "evaluate_every": 10, "evaluate_size": 40},
    "device": "cpu",
}
# With W_ih = 0 and b = 0 the states stay 0, so the forward pass is tame while the gradient of b grows as 2^lag.
EXPLODING: dict[str, Any] = {
    "task": {"name": "addition", "length": 200},
    "model": {
        "cell": "rnn",
        "nonlinearity": "linear",
        "init": {"input": "zeros", "recurrent": {"name": "orthogonal", "gain": 2.0}},
    },
    "train": {"updates": 4, "evaluate_size": 10},
}


def config(**changes: Any) -> Config:
    """SMALL with the given sections merged in."""
    merged = {key: dict(value) if isinstance(value, dict) else value for key, value in SMALL.items()}
    for key, value in changes.items():
        replace = not isinstance(value, dict) or "name" in value
        merged[key] = value if replace else {**merged.get(key, {}), **value}
    return Config.model_validate(merged)


@contextlib.contextmanager
def interrupted_after(updates: int) -> Iterator[None]:
    """Within the block a training is interrupted after so many updates, by KeyboardInterrupt("stop")."""
    whole, count = Fleet.apply_gradients, 0

    def apply(self: Fleet, taken: Any) -> None:
        nonlocal count
        count += 1
        whole(self, taken)
        if count == updates:
            raise KeyboardInterrupt("stop")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fleet, "apply_gradients", apply)
        yield


def whole_and_resumed(described: Config, out: Path, updates: int) -> tuple[Run, Run]:
    """A run trained at once, and one interrupted after so many updates and resumed: equal in weights and gradients."""
    whole = train(described, out=out / "whole")
    with interrupted_after(updates), pytest.raises(KeyboardInterrupt, match="stop"):
        train(described, out=out / "parts")
    resumed = train(described, out=out / "parts", resume=True)
    assert weights(resumed) == weights(whole)
    assert resumed.dir.gradients.read_bytes() == whole.dir.gradients.read_bytes()
    return whole, resumed


def weights(run: Run) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in parameters_of(run).items()}


def fleet_config(**changes: Any) -> Config:
    """An LSTM of 7 units in float64, with these sections in place of its own."""
    given: dict[str, Any] = {
        "task": {"name": "addition", "length": 12},
        "model": {"cell": "lstm", "hidden": 7},
        "train": {"batch": 4, "updates": 20, "evaluate_every": 10, "evaluate_size": 20},
        "dtype": "float64",
        "device": "cpu",
    }
    return Config.model_validate({**given, **changes})


def updated_together_and_alone(configs: Sequence[Config], updates: int = 20) -> tuple[Fleet, list[Fleet]]:
    """A fleet of these runs, and each run as a fleet of its own: after the updates their weights agree to 1e-10."""
    fleet, alone = Fleet(configs), [Fleet([one]) for one in configs]
    for _ in range(updates):
        fleet.update()
        for one in alone:
            one.update()
    for name, stacked in fleet.network.parameters.items():
        for r, one in enumerate(alone):
            torch.testing.assert_close(stacked[r], one.network.parameters[name][0], rtol=0, atol=1e-10)
    return fleet, alone
