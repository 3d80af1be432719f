"""Runs on disk that no network was trained for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rnnlab.records import GradientLog, MetricsLog
from rnnlab.rundir import RunDir
from rnnlab.runs import Run


def fake_run(
    root: Path,
    name: str = "one",
    config: Mapping[str, Any] | None = None,
    updates: Sequence[int] = (0, 10),
    decades: float = -0.1,
    timesteps: int = 50,
    layers: int = 1,
    states: Sequence[str] = ("h",),
) -> Run:
    """A completed run whose gradients are 10^(decades * lag) at update 0 and fall half as fast at every later one."""
    settings = dict(config or {"model": {"cell": "rnn"}, "seed": 0, "name": name})
    run = RunDir.create(root, name)
    run.config.write_text(yaml.safe_dump(settings, sort_keys=False))
    t = np.arange(timesteps)
    lag = timesteps - 1 - t
    with GradientLog(run.gradients) as gradients, MetricsLog(run.metrics) as metrics:
        for at, update in enumerate(updates):
            y = decades * 0.5**at * lag
            for layer in range(layers):
                for state in states:
                    direct = np.where(lag == 0, y, -np.inf)
                    gradients.write(update, layer, state, t, lag, 10**y, y, y - 1, y, y + 1, direct)
            metrics.write({"update": update, "loss": 1 / (1 + update), "grad_norm": 0.5, "seconds": update / 10})
    result = {"loss": 0.0231, "error": 0.013, "eval_loss": 0.024, "eval_error": "nan", "clip_rate": 0.125}
    run.finish("completed", "all updates done", result=result, chance={"loss": 0.1767, "error": None}, updates=11)
    return Run(run.path)
