"""Verify runs: whether each file is the one that the run ended with, its rows those of its schedule, and what to do."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnlab.config import load_config
from rnnlab.errors import PluginRefusedError, RnnlabError, RunFolderError
from rnnlab.runs.checkpoint_file import checked_checkpoint
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.readers import as_frame, gradients_of, metrics_of, tables_of
from rnnlab.runs.run_config import read_config
from rnnlab.runs.run_json import ENDED, NO_CHECKSUM, has_checksum, why_stopped
from rnnlab.runs.seals import seal_of_file
from rnnlab.training.checkpoints import last_checkpoint
from rnnlab.training.rows import faults_of_rows


@dataclass(frozen=True)
class Verification:
    """What was verified of one run.

    >>> from rnnlab.training.verify import verify_run
    >>> verification = verify_run("runs/lstm-T40-s0")
    >>> verification.status, verification.whole, verification.faults[0].partition(":")[0]
    ('completed', False, 'there is no runs/lstm-T40-s0/checkpoint.pt')
    """

    path: Path
    status: str
    """That of run.json; `broken` where it cannot be read."""
    faults: tuple[str, ...]
    """Everything that is wrong."""
    remarks: tuple[str, ...]
    """What could not be verified, and why."""
    restore: str
    """The command that restores the run, or goes on with it; empty where there is nothing to do or none is known."""

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def verify_run(path: str | Path, *, allow_plugins: bool = False) -> Verification:
    """Verify one run. What is wrong is in the result; nothing is raised and nothing changed.

    `allow_plugins`: load what its config names; without them the rows of a run with such parts are not verified.
    """
    folder = RunFolder(path)
    faults, remarks = list[str](), list[str]()
    try:
        info = folder.read_run()
        status = folder.status
    except RunFolderError as error:
        return Verification(folder.path, "broken", (str(error),), (), _again(folder))
    files = info.get("files") or {}
    unwritten = [*filter(None, map(folder.why_unwritten, _sealed_by(folder)))]
    if unwritten:
        remarks.append(unwritten[0])
    elif status != "running" and (unsealed := _unsealed(folder, files)):
        reason = "an earlier version wrote it" if status in ENDED else why_stopped(info)
        remarks.append(f"run.json has no length and hash of {unsealed}: {reason}")
    if not has_checksum(folder.run):
        remarks.append(NO_CHECKSUM)
    faults += _faults_of_files(folder, files)
    if "watch" in info:
        # Its config and checkpoints are its own program's; what rnnlab wrote is here.
        faults += _faults_of_tables(RunFolder(folder.path, trust=True))
        faults = [fault for fault in dict.fromkeys(faults) if fault not in unwritten]
        return Verification(folder.path, status, tuple(faults), tuple(remarks), "")
    try:
        faults += _faults_of_content(folder, info.get("updates"), status, allow_plugins)
    except PluginRefusedError as error:
        remarks.append(f"its rows, which follow from its config: {error}")
    faults = [fault for fault in faults if fault not in unwritten]
    damaged_checkpoint, can_go_on = _checkpoints(folder, status)
    if not faults and can_go_on and folder.config.exists():
        restore = _command(folder, "--resume")
    else:
        restore = _again(folder) if faults or damaged_checkpoint or can_go_on else ""
    faults = list(dict.fromkeys([*damaged_checkpoint, *faults]))
    return Verification(folder.path, status, tuple(faults), tuple(remarks), restore)


def leftovers(root: str | Path) -> list[Path]:
    """Half-made and half-deleted folders beside the runs, of processes that were killed."""
    try:
        return sorted(path for path in Path(root).iterdir() if path.name.startswith(".") and _is_leftover(path.name))
    except OSError:
        return []


def _is_leftover(name: str) -> bool:
    return ".new-" in name or ".old-" in name


def _sealed_by(folder: RunFolder) -> Sequence[Path]:
    """The files that run.json has the length and hash of, however the run ended."""
    return folder.config, folder.gradients, folder.metrics


def _unsealed(folder: RunFolder, files: dict[str, dict[str, object]]) -> str:
    """The files of which run.json has no length and hash, in words; empty where it has all."""
    names = [path.name for path in _sealed_by(folder) if path.name not in files]
    return " and ".join(names) if files else "its files"


def _faults_of_files(folder: RunFolder, files: dict[str, dict[str, object]]) -> Iterator[str]:
    """The files that are not those that run.json has the length and hash of."""
    for name in files:
        try:
            if (seal := folder.seal_of(folder.path / name)) is not None:
                seal.check(folder.path / name, seal_of_file(folder.path / name), "run.json")
        except RunFolderError as error:
            yield str(error)


def _checkpoints(folder: RunFolder, status: str) -> tuple[list[str], bool]:
    """What is wrong with the checkpoints, and whether the run is to go on and can: one of the last two is enough."""
    try:
        if status in ENDED:
            checked_checkpoint(folder.checkpoint)
        if status not in ("interrupted", "failed") or not folder.has_checkpoint:
            return [], status == "interrupted"
        _, remark = last_checkpoint(folder)
    except RunFolderError as error:
        return [str(error).partition("; train it again")[0]], False
    try:
        if not remark and folder.previous_checkpoint.exists():
            checked_checkpoint(folder.previous_checkpoint)
    except RunFolderError as error:
        remark = str(error)
    return [remark] if remark else [], bool(remark) or status == "interrupted"


def _faults_of_content(folder: RunFolder, made: int | None, status: str, allow_plugins: bool) -> Iterator[str]:
    """What the config and the rows say that they cannot say. Raises PluginRefusedError."""
    trusted = RunFolder(folder.path, trust=True)  # the hashes are compared already
    try:
        read_config(trusted)
        config = load_config(folder.config, allow_plugins=allow_plugins)
        identity = folder.read_run().get("identity")
        if identity is not None and identity != config.identity():
            yield f"{folder.config} is not the config that {folder.run} has the identity of"
    except PluginRefusedError:
        raise
    except RnnlabError as error:
        yield from str(error).splitlines()
        return
    try:
        gradients, metrics = as_frame(gradients_of(trusted)), as_frame(metrics_of(trusted))
        with_tables = any(probe.table for probe in config.probe.probes())
        tables = as_frame(tables_of(trusted)) if with_tables else None
    except RunFolderError as error:
        yield str(error)
        return
    if status in ENDED and made is not None:
        yield from (f"{folder.path / fault}" for fault in faults_of_rows(config, made, gradients, metrics, tables))


def _faults_of_tables(folder: RunFolder) -> Iterator[str]:
    """The files of a watched run that cannot be read."""
    for read in (read_config, gradients_of, metrics_of):
        try:
            read(folder)
        except RunFolderError as error:
            yield str(error)


def _again(folder: RunFolder) -> str:
    """The command that trains a run again: from its config, or as it was made, where the config is damaged."""
    try:
        info = RunFolder(folder.path, trust=True).read_run()
    except RunFolderError:
        info = {}
    command = info.get("command") or []
    if command[:1] != ["rnnlab"]:
        # Somebody's program trained it; and whoever runs what verify says must not run what a stranger's run.json says.
        command = []
    in_sweep = info.get("sweep") is not None
    # The run is deleted first: the command must be one that makes it again here.
    if not _is_made_here(command, folder) or (in_sweep and not os.path.isfile(_option(command, "--config", "-c"))):
        command = []
    if in_sweep and command:
        return f"rm -r {shlex.quote(str(folder.path))} && {shlex.join(command)}"
    try:
        load_config(folder.config)
    except PluginRefusedError:
        pass  # the command that is shown says how to allow them; whoever runs it must not have allowed it thereby
    except RnnlabError:
        return shlex.join([*command, *(["--force"] if "--force" not in command else [])]) if command else ""
    if folder.is_run:
        return _command(folder, "--force")
    # What has no run.json may be anything, and is never replaced.
    kept = f"{folder.name}.yaml"
    copied = shlex.join(["cp", str(folder.config), kept])
    return f"{copied} && rm -r {shlex.quote(str(folder.path))} && {_command(folder, config=kept)}"


def _is_made_here(command: Sequence[str], folder: RunFolder) -> bool:
    """Whether a command makes its runs where this one is; one that was copied from elsewhere it would not make."""
    return os.path.realpath(_option(command, "--out") or "runs") == os.path.realpath(folder.path.parent)


def _option(command: Sequence[str], *names: str) -> str:
    """The last value of an option in a command line; empty where it has none."""
    value = ""
    for word, following in zip(command, [*command[1:], ""], strict=False):
        name, equals, given = word.partition("=")
        if name in names:
            value = given if equals else following
    return value


def _command(folder: RunFolder, *options: str, config: str = "") -> str:
    out = [] if folder.path.parent == Path("runs") else ["--out", str(folder.path.parent)]
    words = ["rnnlab", "train", "--config", config or str(folder.config), "--name", folder.name, *out, *options]
    return shlex.join(words)


def verify_runs(paths: Sequence[str | Path]) -> Iterator[Verification]:
    """Verify these runs, one after the other."""
    for path in paths:
        yield verify_run(path)
