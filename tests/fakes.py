"""Runs on disk that no network was trained for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import ArrayLike

from rnnlab.cells import CELLS
from rnnlab.runs.columns import AT_TIMESTEP
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run import Run
from rnnlab.runs.writers import GradientLog, MetricsLog


def even_columns(t: ArrayLike, lag: ArrayLike, *figures: ArrayLike) -> dict[str, ArrayLike]:
    """The columns of gradients.csv from `t` on, of 20 samples that are read out at the last timestep.

    figures: the norm, and the log10 columns in the order of the file.
    """
    names = [column.name for column in AT_TIMESTEP[5:]]
    columns = dict(zip(names, figures, strict=True))
    own: dict[str, ArrayLike] = {"own_lag": lag, "own_samples": np.full(np.shape(lag), 20)}
    return {"t": t, "lag": lag, **columns, **own, **{f"own_{name}": columns[name] for name in names[1:]}}


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
    run = RunFolder.create(root, name)
    run.config.write_text(yaml.safe_dump(settings, sort_keys=False))
    t = np.arange(timesteps)
    lag = timesteps - 1 - t
    with GradientLog(run.gradients) as gradients, MetricsLog(run.metrics) as metrics:
        for at, update in enumerate(updates):
            y = decades * 0.5**at * lag
            for layer in range(layers):
                for state in states:
                    direct = np.where(lag == 0, y, -np.inf)
                    gradients.write(update, layer, state, even_columns(t, lag, 10**y, y, y - 1, y, y + 1, direct))
            metrics.write({"update": update, "loss": 1 / (1 + update), "grad_norm": 0.5, "seconds": update / 10})
    result = {"loss": 0.0231, "error": 0.013, "eval_loss": 0.024, "eval_error": "nan", "clip_rate": 0.125}
    run.finish("completed", "all updates done", result=result, chance={"loss": 0.1767, "error": None}, updates=11)
    return Run(run.path)


def fake_group(
    root: Path,
    rates: Mapping[int, float],
    *,
    spread: float = 0.0,
    status: str = "completed",
    error: float = 0.005,
    timesteps: int = 40,
    updates: Sequence[int] = (0, 10),
    **settings: Any,
) -> list[Run]:
    """Runs of equal settings, one a seed, whose curves fall by exactly that many decades per 100 timesteps.

    Settings are dotted keys with `__` for the dot, such as model__cell="lstm"; `spread` is noise about the line.
    """
    keys = {key.replace("__", "."): value for key, value in settings.items()}
    about = "-".join(f"{key.rpartition('.')[2]}={value}" for key, value in keys.items()) or "run"
    made = []
    for seed, rate in rates.items():
        config: dict[str, Any] = {"task": {"name": "addition", "length": timesteps}, "model": {"cell": "rnn"}}
        for key, value in keys.items():
            *path, last = key.split(".")
            at = config
            for part in path:
                at = at.setdefault(part, {})
            at[last] = value
        name = re.sub(r"[^\w=.-]", "_", f"{about}-T{timesteps}-s{seed}").strip(".")
        config |= {"seed": seed, "name": name}
        run = RunFolder.create(root, name, {"identity": f"{sorted(keys.items())}{timesteps}-{seed}", "seed": seed})
        run.config.write_text(yaml.safe_dump(config, sort_keys=False))
        rng = np.random.default_rng(seed)
        t = np.arange(timesteps)
        lag = timesteps - 1 - t
        with GradientLog(run.gradients) as gradients, MetricsLog(run.metrics) as metrics:
            for update in updates:
                y = rate / 100 * lag + spread * rng.normal(size=timesteps)
                direct = np.where(lag == 0, y, -np.inf)
                cell = CELLS.get(config["model"]["cell"])
                for state in cell.states if cell else ("h",):
                    gradients.write(update, 0, state, even_columns(t, lag, 10**y, y, y - 1, y, y + 1, direct))
                row = {"loss": 1 / (1 + update), "error": error, "eval_error": error, "grad_norm": 2.0}
                metrics.write({"update": update, **row, "grad_norm_clipped": 1.0, "clipped": 1, "seconds": update / 10})
        result = {"eval_loss": error, "eval_error": error, "test_error": error, "clip_rate": 0.25}
        run.finish(status, "", result=result if status in ("completed", "diverged") else {}, updates=max(updates))
        made.append(Run(run.path))
    return made
