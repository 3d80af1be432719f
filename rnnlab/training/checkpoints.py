"""Checkpoints: what a run needs to go on. Each has a checksum, and the last two are kept.

A checkpoint is a file of `torch.save` that `torch.load` reads. The SHA-256 of its content stands in the comment that a
zip file may end with, because torch tests no checksum: a flipped bit would be read as another weight.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rnnlab.atomic import atomic
from rnnlab.errors import RunFolderError
from rnnlab.regular import read_regular
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run_json import now
from rnnlab.runs.seals import Seal, Sealer
from rnnlab.runs.writers import check_kept

State = Mapping[str, Any]

_MARK = b"rnnlab sha256 "
_DIGITS = 64
_COMMENT = len(_MARK) + _DIGITS
# A zip file ends with the length of its comment, in two bytes, and the comment.
_NO_COMMENT = (0).to_bytes(2, "little")
_ENDING = 2 + _COMMENT


def write_checkpoint(folder: RunFolder, updates: int, state: State) -> Seal:
    """Write checkpoint.pt and keep the one before it; the seal of the new file. Raises RunFailedError."""
    # torch's writer makes another error of one that a file raises, an interruption among them.
    memory = io.BytesIO()
    torch.save({"updates": updates, "saved": now(), **state}, memory)
    content = memory.getbuffer()
    assert content[-2:] == _NO_COMMENT, "torch.save gave a zip file with a comment"
    sealer = Sealer()
    sealer.add(content[:-2])
    ending = _COMMENT.to_bytes(2, "little") + _MARK + sealer.seal().sha256.encode()
    with atomic(folder.checkpoint, keep=folder.previous_checkpoint) as file:
        file.write(content[:-2])
        file.write(ending)
    sealer.add(ending)
    return sealer.seal()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, whose checksum is tested first. Raises RunFolderError if it cannot be trusted."""
    try:
        data = read_regular(path)
    except FileNotFoundError:
        raise RunFolderError(f"there is no {path}: the run was interrupted before its first checkpoint") from None
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror or error}") from error
    content, ending = memoryview(data)[:-_ENDING], data[-_ENDING:]
    if ending[: 2 + len(_MARK)] != _COMMENT.to_bytes(2, "little") + _MARK:
        raise RunFolderError(f"{path} is damaged: it does not end with its checksum")
    if ending[-_DIGITS:] != Seal.of(content).sha256.encode():
        raise RunFolderError(f"{path} is damaged: its content does not agree with its checksum")
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
