"""Checkpoints: what a run needs to go on. Each has a checksum (`checkpoint_file`), and the last two are kept."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rnnlab.atomic import atomic
from rnnlab.config import Config
from rnnlab.errors import RunFolderError
from rnnlab.runs.checkpoint_file import checked_checkpoint, parts_with_checksum
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run import Run
from rnnlab.runs.run_json import now
from rnnlab.runs.seals import Seal, Sealer
from rnnlab.runs.writers import check_kept
from rnnlab.training.device import Scan, can_run

State = Mapping[str, Any]


def write_checkpoint(folder: RunFolder, updates: int, state: State) -> Seal:
    """Write checkpoint.pt and keep the one before it; the seal of the new file. Raises RunFailedError."""
    # torch's writer makes another error of one that a file raises, an interruption among them.
    memory = io.BytesIO()
    torch.save({"updates": updates, "saved": now(), **state}, memory)
    content, ending = parts_with_checksum(memory.getbuffer())
    sealer = Sealer()
    with atomic(folder.checkpoint, keep=folder.previous_checkpoint) as file:
        for part in (content, ending):
            file.write(part)
            sealer.add(part)
    return sealer.seal()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, whose checksum is tested first. Raises RunFolderError if it cannot be trusted."""
    data = checked_checkpoint(path)
    try:
        state = torch.load(io.BytesIO(data), weights_only=True)
        _ = state["parameters"], state["record"]
        if not (isinstance(state["updates"], int) and state["updates"] >= 0):
            raise ValueError(f"updates is {state['updates']}")
    except Exception as error:  # torch raises whatever its unpickler trips over
        raise RunFolderError(f"{path} cannot be read: {error}") from error
    return dict(state)


def last_checkpoint(folder: RunFolder) -> tuple[dict[str, Any], str]:
    """The newest checkpoint that is whole and whose CSV files are, and a remark where it is not the newest file.

    The newest file is not it where it is damaged, or where rows are missing that it counts on and the one before it
    does not. Raises RunFolderError, with the remedy, where no checkpoint can be used.
    """
    faults: list[str] = []
    for path in (folder.checkpoint, folder.previous_checkpoint):
        if not path.exists() and (faults or path == folder.checkpoint):
            continue
        try:
            state = read_checkpoint(path)
            for name, kept in kept_files(state).items():
                check_kept(folder.path / name, kept)
        except RunFolderError as error:
            faults.append(str(error))
            continue
        return state, f"{faults[0]}; the checkpoint before it is used, of update {state['updates']:,}" if faults else ""
    raise RunFolderError(
        f"{folder.path} cannot go on: {'; '.join(faults)}; train it again from its first update with --force"
    )


def state_to_resume(folder: RunFolder, notify: Callable[[str], None]) -> dict[str, Any]:
    """The checkpoint that a run goes on from; `notify` gets a message where it is not the newest.

    Raises RunFolderError where there is none, or where a folder has the name of one, which no file can replace.
    """
    for path in (folder.checkpoint, folder.previous_checkpoint):
        if path.is_dir() and not path.is_symlink():
            raise RunFolderError(f"{path} is a folder, where the run writes its checkpoints; move it away")
    state, remark = last_checkpoint(folder)
    if remark:
        notify(remark)
    return state


@contextlib.contextmanager
def as_many_threads(folder: RunFolder | None) -> Iterator[None]:
    """Until the block ends, torch has as many threads as the run in the folder began with; None changes nothing."""
    before = torch.get_num_threads()
    recorded = folder.read_run().get("threads") if folder is not None else None
    torch.set_num_threads(recorded or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def scan_to_resume(folder: RunFolder, config: Config) -> Scan | None:
    """The scan that a run goes on with: that of the fleet in which it began; None for what a new run would take."""
    recorded: Scan | None = folder.read_run().get("scan")
    return recorded if recorded in ("general", "triton") and can_run(recorded, config) else None


def forget_damaged(folder: RunFolder, state: State) -> None:
    """Put the checkpoint that is used in the place of a newer file that is damaged, which would replace it later."""
    if folder.previous_checkpoint.exists() and not _is(folder.checkpoint, state):
        folder.previous_checkpoint.replace(folder.checkpoint)


def _is(path: Path, state: State) -> bool:
    try:
        newest = read_checkpoint(path)
    except RunFolderError:
        return False
    return bool(newest["updates"] == state["updates"])


def kept_files(state: State) -> dict[str, Seal]:
    """The CSV files as a checkpoint counts on them, by name. Raises RunFolderError."""
    files = state["record"].get("files") or {}
    return {str(name): Seal.from_fields(fields) for name, fields in files.items()}


def parameters_of(run: Run | str | Path) -> dict[str, np.ndarray[Any, Any]]:
    """The weights that a run ended with, as arrays [in, gates*hidden] by name (layer0.W_hh, readout.W, ...)."""
    path = RunFolder(run.path if isinstance(run, Run) else run).checkpoint
    return {name: tensor.numpy() for name, tensor in read_checkpoint(path)["parameters"].items()}
