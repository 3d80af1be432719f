"""Configs of small trainings, and the weights that they end with."""

from __future__ import annotations

from typing import Any

from rnnlab.config import Config
from rnnlab.runs.run import Run
from rnnlab.training.loop import parameters_of

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
