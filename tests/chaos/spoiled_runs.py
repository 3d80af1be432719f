"""A folder of runs of every kind of end, to be damaged."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from trainings import fleet_config

import rnnlab
from rnnlab.config import Config
from rnnlab.runs.folder import RunFolder
from rnnlab.training.fleet import Fleet
from rnnlab.training.loop import train

UNFINISHED = ("interrupted", "killed")
SWEEP: dict[str, Any] = {
    "base": {
        "task": {"name": "addition", "length": 10},
        "model": {"cell": "lstm", "hidden": 3},
        "train": {"batch": 4, "updates": 8, "evaluate_every": 4, "evaluate_size": 8},
        "dtype": "float64",
        "device": "cpu",
    },
    "seeds": 2,
}
_TRAIN = {"batch": 4, "updates": 12, "evaluate_every": 4, "evaluate_size": 8, "checkpoint_seconds": 0}


def small(name: str, seed: int = 0) -> Config:
    """A training of a twentieth of a second."""
    model = {"cell": "lstm", "hidden": 3}
    return fleet_config(name=name, seed=seed, task={"name": "addition", "length": 10}, model=model, train=_TRAIN)


def exploding(name: str) -> Config:
    """A training whose loss is soon too large for a float64."""
    sections = small(name).model_dump(mode="json")
    sections["model"]["init"]["readout"] = {"name": "xavier_uniform", "gain": 1e100}
    return Config.model_validate({**sections, "optimizer": {"name": "sgd", "lr": 1e9}})


def make_runs(root: Path) -> None:
    """The runs `whole`, `diverged`, `interrupted`, `killed`, and two of a sweep, trained as a fleet, in `root`.

    Beside the folder are configs and the sweep's file, and the folder `undisturbed` with the unfinished runs, finished.
    """
    for name in ("whole", *UNFINISHED):
        config = small(name, seed=len(name))
        (root.parent / f"{name}.yaml").write_text(config.to_yaml())
        train(config, out=root.parent / "undisturbed")
    shutil.copytree(root.parent / "undisturbed" / "whole", root / "whole")
    assert train(exploding("diverged"), out=root).status == "diverged"
    with _at_update(7, _interrupt), pytest.raises(KeyboardInterrupt, match=r".*"):
        train(small("interrupted", seed=len("interrupted")), out=root)
    image = root.parent / "image"
    with _at_update(9, lambda: shutil.copytree(root.parent / "going" / "killed", image)):
        train(small("killed", seed=len("killed")), out=root.parent / "going")
    image.rename(root / "killed")
    killed = RunFolder(root / "killed")
    killed.update(process={**killed.read_run()["process"], "pid": _dead_pid()})
    assert killed.status == "interrupted"
    _train_sweep(root)


def _train_sweep(root: Path) -> None:
    import yaml

    file = root.parent / "s.yaml"
    file.write_text(yaml.safe_dump(SWEEP))
    rnnlab.sweep(file, out=root)


def _interrupt() -> None:
    raise KeyboardInterrupt


def _dead_pid() -> int:
    done = subprocess.Popen([sys.executable, "-IS", "-c", ""])
    done.wait()
    return done.pid


@contextmanager
def _at_update(number: int, act: Any) -> Iterator[None]:
    """Within the block something happens before this update is applied."""
    apply, made = Fleet.apply_gradients, list[int]()

    def acting(self: Fleet, *arguments: Any, **named: Any) -> Any:
        made.append(0)
        if len(made) == number:
            act()
        return apply(self, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fleet, "apply_gradients", acting)
        yield
