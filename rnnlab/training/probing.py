"""Probes without a training: on untrained networks, or on the weights and the data of a run's checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnnlab.config import Config, load_config
from rnnlab.errors import RunFolderError, UsageError
from rnnlab.gradients.view import UpdateView
from rnnlab.probes import Figures, Measured, Probe, TableRows, one_thread
from rnnlab.runs.run import Run
from rnnlab.training.checkpoints import last_checkpoint
from rnnlab.training.fleet import Fleet, network_shape
from rnnlab.training.loop import MessageCallback
from rnnlab.training.room import check_memory


@dataclass(frozen=True)
class Probed:
    """What the probes measured of one network on one batch.

    figures: by probe, the values of its columns of metrics.csv. tables: by probe, its rows of probes.csv; `adjoint`
    has those of gradients.csv there, by state against lag.

    >>> from rnnlab.config import load_config
    >>> config = load_config({"task": "addition", "model": {"hidden": 5}, "probe": {"which": ["spectrum", "jacobian"]}})
    >>> first, second = probe_config(config, draws=2)
    >>> second.seed, list(second.figures["spectrum"]), list(second.tables)
    (1, ['recurrent_radius', 'recurrent_sigma_max'], ['jacobian'])
    """

    seed: int
    update: int
    """Updates that were made before."""
    figures: Mapping[str, Mapping[str, float]]
    tables: Mapping[str, Sequence[TableRows]]


def probe_config(config: Config, draws: int = 1, notify: MessageCallback = lambda message: None) -> list[Probed]:
    """Measure untrained networks: `draws` many, whose seeds, of weights and data, count up from the config's.

    Raises as `train` does before it writes anything.
    """
    check_memory(config)
    config = _on_the_general_scan(config)
    return _measured(Fleet(config.seeded(*range(config.seed, config.seed + draws))), 0, notify)


def probe_run(run: Run, sets: Sequence[str] = (), notify: MessageCallback = lambda message: None) -> list[Probed]:
    """Measure the network of a run's last checkpoint, on the batch that would follow.

    sets: changes of its config, such as the probes, the length of its task's sequences, or where the loss reads them.
    Raises RunFolderError where there is no checkpoint that can be used, UsageError for another network.
    """
    if "watch" in run.info:
        raise UsageError(f"{run.path} was trained by another program, which rnnlab watched; only that has its network")
    theirs, config = load_config(run.config), load_config(run.config, sets)
    check_same_network(theirs, config)
    state, remark = last_checkpoint(run.dir)
    if remark:
        notify(remark)
    try:
        fleet = Fleet([_on_the_general_scan(config)], [state])
    except (KeyError, RuntimeError, ValueError) as error:
        raise RunFolderError(f"{run.dir.checkpoint} is not of the network of {run.dir.config}: {error}") from error
    return _measured(fleet, state["updates"], notify)


def _on_the_general_scan(config: Config) -> Config:
    """The config as it is measured: one pass takes less time than the compiled scan takes to load."""
    if config.train.scan != "auto":
        return config
    return config.model_copy(update={"train": config.train.model_copy(update={"scan": "general"})})


def check_same_network(theirs: Config, config: Config) -> None:
    """Raise UsageError where the network is another than the run's; the same task may have other sequences."""
    for key in ("model", "optimizer", "seed", "dtype"):
        if getattr(theirs, key) != getattr(config, key):
            raise UsageError(f"{key}: a run is measured with its own; give --config to measure another network")
    if theirs.task.name != config.task.name or network_shape(theirs) != network_shape(config):
        raise UsageError(f"task: the run's network reads {theirs.task.name}; its length and loss may be changed")


def _measured(fleet: Fleet, update: int, notify: MessageCallback) -> list[Probed]:
    fleet.prepare(notify)
    probing = fleet.configs[0].probe
    with fleet.threads(), one_thread():
        batch = fleet.compute_gradients()
        view = UpdateView(update, fleet.network, batch.result, batch.sequences, fleet.objective, probing.stride)
        results = [(probe, *_of(probe, view)) for probe in probing.probes()]
    return [
        Probed(
            config.seed,
            update,
            {
                probe.name: {name: float(values[r]) for name, values in figures.items()}
                for probe, figures, _ in results
                if figures
            },
            {probe.name: tables[r] for probe, _, tables in results if tables and tables[r]},
        )
        for r, config in enumerate(fleet.configs)
    ]


def _of(probe: Probe, view: UpdateView) -> tuple[Figures, Sequence[Sequence[TableRows]]]:
    """The figures and tables of one probe; its curves as a table too."""
    curves = [[_as_rows(curve) for curve in rows] for rows in probe.rows(view)]
    measured: Any = probe.measure(view)
    if isinstance(measured, Measured):
        return measured.figures, measured.tables
    # What an update changes is not measured where none is made.
    return ({} if callable(measured) else measured), curves


def _as_rows(curve: Any) -> TableRows:
    names = ("log10_norm", "log10_direct")
    return TableRows(curve.layer, curve.state, curve.lag.tolist(), {name: curve.with_sentinels(name) for name in names})
