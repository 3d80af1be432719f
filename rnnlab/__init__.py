"""rnnlab: an instrument for recurrent networks. It trains them, and measures the gradient at every timestep.

    import rnnlab

    run = rnnlab.train({"task": "addition", "model": {"cell": "lstm"}})
    run.gradients                           # a pandas frame, one row per (update, layer, state, t)
    rnnlab.sweep({"base": {"task": "addition"}, "axes": {"grid": {"model.cell": ["rnn", "lstm"]}}, "seeds": 3})
    rnnlab.load_runs("runs").metrics        # every run's, with the settings in which they differ

Nothing heavy is imported until it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rnnlab.collection import Runs, load_runs
    from rnnlab.config import Config, load_config
    from rnnlab.config.load import Source
    from rnnlab.engines import Engine
    from rnnlab.runs import Run
    from rnnlab.sweeping import Outcome, Tell

__version__ = "0.1.0"
__all__ = ["Config", "Run", "Runs", "__version__", "load_config", "load_runs", "sweep", "train"]

_HOMES = {
    "Config": "rnnlab.config",
    "load_config": "rnnlab.config",
    "Run": "rnnlab.runs",
    "Runs": "rnnlab.collection",
    "load_runs": "rnnlab.collection",
}


def train(
    config: Source, *, sets: Iterable[str] = (), out: str | Path = "runs", force: bool = False, **watchers: Any
) -> Run:
    """Train the network that a Config, a mapping or a YAML file describes, and give back its run.

    `sets` are changes such as `"model.hidden=50"`. A run without a name gets one of its own; `force` replaces a run of
    the same name. `observe` and `notify` hear how far it is. Raises ConfigError with everything that is wrong, and what
    `rnnlab.training.train` raises.
    """
    from rnnlab.config import load_config
    from rnnlab.training import train

    return train(load_config(config, sets), out=out, force=force, **watchers)


def sweep(
    source: Source,
    *,
    sets: Iterable[str] = (),
    out: str | Path = "runs",
    engine: str | Engine | None = None,
    workers: int | None = None,
    address: str | None = None,
    fleets: bool = True,
    retry_failed: bool = False,
    max_runs: int | None = None,
    tell: Tell = lambda news: None,
) -> Outcome:
    """Train the runs of a sweep, a YAML file or a mapping with `base`, `axes` and `seeds`, that are not trained yet.

    `engine` is inline, local or ray; without one, several fleets train in a process each. `tell` hears what happens.
    Raises ConfigError with everything that is wrong, and what `rnnlab.sweeping.train_sweep` raises.
    """
    from rnnlab.engines import Engine, engine_of
    from rnnlab.sweeping import Order, train_sweep
    from rnnlab.sweeps import load_sweep

    chosen = engine if isinstance(engine, Engine) else engine_of(engine, workers=workers, address=address)
    order = Order(out, fleets, retry_failed, max_runs, command=("rnnlab.sweep",))
    return train_sweep(load_sweep(source, sets), chosen, order, tell)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rnnlab' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
