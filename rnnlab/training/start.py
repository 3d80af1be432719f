"""The start of a run: its name and folder, and the first content of its run.json."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from rnnlab.config import Config
from rnnlab.config.facts import CONTINUES, NO_IDENTITY
from rnnlab.errors import RnnlabError, RunExistsError, RunFolderError
from rnnlab.names import default_name
from rnnlab.plugins import changes, place_of, text_of, used_by
from rnnlab.provenance import git_state, machine, trained_by, versions
from rnnlab.runs.claims import Claims, folder_key
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run import Run, dotted_settings
from rnnlab.runs.run_json import status_of
from rnnlab.tasks import sha256
from rnnlab.training.fleet import Fleet
from rnnlab.training.plan import updates_of


@dataclass(frozen=True)
class Start:
    """A run that will train: its config, its folder's name, and whether the folder is new, replaced or resumed."""

    config: Config
    name: str
    force: bool = False
    dead: bool = False
    """With force: the process that was writing the folder is known to be gone, whatever its run.json says."""
    resume: bool = False
    """From its last checkpoint."""
    numbered: bool = False
    """A taken name becomes name-2, name-3, ..."""

    def folder(self, out: str | PathLike[str], info: Mapping[str, Any]) -> RunFolder:
        """Make its folder. Raises as RunFolder.create does."""
        return RunFolder.create(out, self.name, info, force=self.force, dead=self.dead, numbered=self.numbered)


def name_of(config: Config) -> str:
    """The name of a run: the config's, or one made from its settings."""
    return config.name or default_name(config.task.name, config.model.cell, config.task.timesteps, config.seed)


@contextlib.contextmanager
def claimed(start: Start, out: str | PathLike[str], notify: Callable[[str], None]) -> Iterator[None]:
    """Until the block ends, no other process trains in the start's folder.

    A numbered start needs no claim, since the folder that it gets is new. On a file system without locks
    `notify` gets a message, and the run trains without a claim. Raises RunExistsError, with the process that trains in
    the folder.
    """
    with contextlib.ExitStack() as stack:
        if not start.numbered:
            _claim(stack, Path(out) / start.name, notify)
        yield


def _claim(stack: contextlib.ExitStack, folder: Path, notify: Callable[[str], None]) -> None:
    key = folder_key(folder.name)
    try:
        claims = stack.enter_context(Claims(folder.parent))
        if claims.take([key]):
            return
        holder = claims.holders([key]).get(key)
    except RunFolderError as error:
        notify(f"{error}; this run goes on without a claim: do not train it twice at once")
        return
    raise RunExistsError(f"{folder} {trained_by(holder.process if holder else {})}")


def resumed(start: Start, out: str | PathLike[str], notify: Callable[[str], None]) -> Start:
    """How an unfinished run is resumed: from its checkpoint, or from its first update if it has none yet.

    Raises RunFolderError, with the remedy, as `check_resumable` does.
    """
    folder = RunFolder(Path(out) / start.name)
    check_resumable(folder, start.config)
    if folder.has_checkpoint:
        return start
    notify(f"{folder.path} has no checkpoint yet; the run begins again from its first update")
    return replace(start, resume=False, force=True, dead=True)


def check_resumable(folder: RunFolder, config: Config) -> None:
    """Raise RunFolderError, with the remedy, unless the folder has a run that can go on under this config.

    That is an unfinished one of the same config, or one that has not diverged and differs only in when it ends, with
    more updates than it has made.
    """
    info = folder.read_run()
    if (status := status_of(info)) == "running":
        raise RunExistsError(f"{folder.path} {trained_by(info.get('process') or {})}")
    if info.get("identity") == config.identity():
        if status not in ("interrupted", "failed"):
            longer = "; with more updates it can go on: --set train.updates=N" if status == "completed" else ""
            raise RunFolderError(
                f"{folder.path} is {status}; only an interrupted or a failed run can be resumed{longer}"
            )
    else:
        _check_continues(folder, info, config)
    if changed := changes(info.get("plugins"), used_by(config.parts())):
        raise RunFolderError(
            f"{folder.path} was begun with other code: {'; '.join(changed)}; "
            "bring that back to resume it, or train it again with --force"
        )


def _check_continues(folder: RunFolder, info: Mapping[str, Any], config: Config) -> None:
    """Raise RunFolderError unless a run of another config differs from this one only in when it ends, and can go on."""
    theirs = _settings(folder)
    ours = dict(dotted_settings(config.resolved()))
    keys = [key for key in {**theirs, **ours} if key not in NO_IDENTITY and theirs.get(key) != ours.get(key)]
    others = [key for key in keys if key not in CONTINUES]
    if others or not theirs:
        config_there = f"--config {folder.config}" if folder.config.exists() else "the config that it was started with"
        raise RunFolderError(
            f"{folder.path} is a run of another config{_difference(others, theirs, ours)}; "
            f"resume it with {config_there}, of which {', '.join(CONTINUES)} may change, or choose another --name"
        )
    _check_longer(folder, info, config, keys)


def _check_longer(folder: RunFolder, info: Mapping[str, Any], config: Config, keys: Sequence[str]) -> None:
    """Raise RunFolderError unless a run that differs only in these keys, which say when it ends, can go on."""
    status, made = status_of(info), int(info.get("updates") or 0)
    if status == "diverged":
        raise RunFolderError(f"{folder.path} is diverged, and does not go on whatever {' and '.join(keys)} is")
    if updates_of(config) <= made:
        raise RunFolderError(f"{folder.path} has made {made:,} updates; train.updates must be more to make it longer")
    stopped = str(info.get("reason") or "").startswith("stop rule met")
    if status == "completed" and stopped and "train.stop" not in keys:
        raise RunFolderError(
            f"{folder.path} ended by its stop rule; add --set train.stop=null, or another rule, to make it longer"
        )


def _settings(folder: RunFolder) -> Mapping[str, Any]:
    """The settings of the run in a folder; empty where they cannot be read."""
    try:
        return Run(folder.path).settings
    except RunFolderError:
        return {}


def _difference(keys: Sequence[str], theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """The settings that differ, as a remark."""
    listed = [f"{key} is {_short(theirs.get(key))} there and {_short(ours.get(key))} here" for key in keys[:3]]
    more = [f"{len(keys) - 3} more differ"] if len(keys) > 3 else []
    return f" ({', '.join([*listed, *more])})" if keys and theirs else ""


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 40 else f"{text[:39]}…"


def reason_of(error: BaseException) -> str:
    """Why an error ended a training, for run.json and for the user."""
    if not isinstance(error, Exception):
        return "interrupted by Ctrl-C" if type(error) is KeyboardInterrupt else "ended by a signal"
    if isinstance(error, (RnnlabError, OSError)):
        return str(error)
    place = place_of(error)
    return f"{place}: {text_of(error)}" if place else f"{type(error).__name__}: {error}".rstrip(": ")


def fleet_info(fleet: Fleet, command: Sequence[str] | None, sweep: str | None = None) -> dict[str, Any]:
    """The first content of run.json that all runs of a fleet share."""
    task = fleet.task
    chance = task.chance()
    return {
        "versions": versions(),
        "machine": machine(),
        "git": git_state(),
        "device": str(fleet.device),
        "tf32": fleet.configs[0].train.tf32,
        "dtype": str(fleet.dtype).removeprefix("torch."),
        "scan": fleet.scan,
        "threads": torch.get_num_threads(),
        "fleet": len(fleet.configs),
        "command": list(command) if command is not None else sys.argv,
        "sweep": sweep,
        "parameters": fleet.network.count(),
        "chance": {"loss": chance.loss, "error": chance.error},
        "data": [{"path": str(path), "sha256": sha256(path)} for path in task.files()],
    }


def replica_info(fleet: Fleet, r: int) -> dict[str, Any]:
    """The first content of run.json that only replica r has."""
    config = fleet.configs[r]
    plugins = [plugin.facts() for plugin in used_by(config.parts())]
    return {"seed": config.seed, "identity": config.identity(), **({"plugins": plugins} if plugins else {})}
