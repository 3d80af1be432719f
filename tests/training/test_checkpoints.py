"""A checkpoint is believed only where it is whole, and only with the rows that it counts on."""

from __future__ import annotations

import errno
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trainings import fleet_config, interrupted_after

from rnnlab.config import Config
from rnnlab.errors import RunFailedError, RunFolderError
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run import Run
from rnnlab.training import checkpoints, recorder
from rnnlab.training.checkpoints import last_checkpoint, read_checkpoint, write_checkpoint
from rnnlab.training.fleet import Fleet
from rnnlab.training.loop import train


def config(**how: Any) -> Config:
    """A run that records every update and saves after each."""
    return fleet_config(probe={"schedule": 1}, train={"updates": 10, "batch": 3, "checkpoint_seconds": 0}, **how)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the undisturbed run, and beside it the one that was interrupted after six updates."""
    root = tmp_path_factory.mktemp("runs")
    train(config(name="whole"), out=root)
    with interrupted_after(6), pytest.raises(KeyboardInterrupt, match="stop"):
        train(config(name="cut"), out=root)
    return root


@pytest.fixture
def cut(ended: Path, tmp_path: Path) -> RunFolder:
    """A copy of the interrupted run: checkpoints after its fifth and fourth update, rows of six."""
    shutil.copytree(ended / "cut", tmp_path / "cut")
    return RunFolder(tmp_path / "cut")


def resume(folder: RunFolder, ended: Path) -> list[str]:
    """Resume the run and hold it against the undisturbed one; the messages."""
    messages: list[str] = []
    run = train(config(name="cut"), out=folder.path.parent, resume=True, notify=messages.append)
    whole = Run(ended / "whole")
    assert run.status == "completed"
    assert run.dir.gradients.read_bytes() == whole.dir.gradients.read_bytes()
    assert run.metrics.drop(columns="seconds").equals(whole.metrics.drop(columns="seconds"))
    assert run.info["result"] == whole.info["result"]
    files = [[path.name for path in folder.files if path.exists()] for folder in (run.dir, whole.dir)]
    assert files[0] == files[1]
    return [message for message in messages if "compiled" not in message]


def test_a_checkpoint_is_a_zip_file_that_torch_reads(cut: RunFolder) -> None:
    state = torch.load(cut.checkpoint, weights_only=True)
    assert state["updates"] == read_checkpoint(cut.checkpoint)["updates"] == 5
    assert zipfile.ZipFile(cut.checkpoint).testzip() is None


def test_no_flipped_bit_is_read_as_another_weight(cut: RunFolder) -> None:
    whole = cut.checkpoint.read_bytes()
    rng = np.random.default_rng(0)
    for at in [*rng.integers(0, len(whole), 400), *range(len(whole) - 90, len(whole))]:
        data = bytearray(whole)
        data[at] ^= 1 << int(rng.integers(8))
        cut.checkpoint.write_bytes(data)
        with pytest.raises(RunFolderError, match="is damaged"):
            read_checkpoint(cut.checkpoint)


@pytest.mark.parametrize("length", [0, 1, 50, 79, 80, 81, 2000, -1])
def test_a_cut_checkpoint_is_refused(cut: RunFolder, length: int) -> None:
    cut.checkpoint.write_bytes(cut.checkpoint.read_bytes()[:length])
    with pytest.raises(RunFolderError, match="is damaged"):
        read_checkpoint(cut.checkpoint)


def test_a_checkpoint_with_a_checksum_and_impossible_content_is_refused(cut: RunFolder) -> None:
    state = read_checkpoint(cut.checkpoint)
    write_checkpoint(cut, -5, {key: value for key, value in state.items() if key != "updates"} | {"updates": -5})
    with pytest.raises(RunFolderError, match="updates is -5"):
        read_checkpoint(cut.checkpoint)


def test_the_last_two_are_kept_until_the_end(cut: RunFolder, ended: Path) -> None:
    assert read_checkpoint(cut.checkpoint)["updates"] == 5
    assert read_checkpoint(cut.previous_checkpoint)["updates"] == 4
    assert resume(cut, ended) == []


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [_flip, Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(
    cut: RunFolder, ended: Path, damage: Callable[[Path], object]
) -> None:
    damage(cut.checkpoint)
    lost = not cut.checkpoint.exists()
    messages = resume(cut, ended)
    if not lost:  # a process can end between the two renames, and then nothing is damaged
        (message,) = messages
        assert message.startswith(f"{cut.checkpoint} is damaged: ")
        assert message.endswith("; the checkpoint before it is used, of update 4")


def test_a_run_that_goes_on_from_the_one_before_does_not_replace_it_with_the_damaged_one(
    cut: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    _flip(cut.checkpoint)
    monkeypatch.setattr(Fleet, "compute_gradients", lambda self: (_ for _ in ()).throw(KeyboardInterrupt("stop")))
    with pytest.raises(KeyboardInterrupt, match="stop"):
        train(config(name="cut"), out=cut.path.parent, resume=True)
    assert read_checkpoint(cut.checkpoint)["updates"] == 4


@pytest.mark.parametrize("name", ["gradients.csv", "metrics.csv"])
@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda data: b"", "is cut: 0 of the"),
        (lambda data: data[: len(data) // 2], "is cut"),
        (lambda data: data.replace(b"\n1,", b"\n2,", 1), "was changed"),
        (None, "is missing"),
    ],
)
def test_a_checkpoint_is_not_used_without_the_rows_it_counts_on(
    cut: RunFolder, name: str, damage: Callable[[bytes], bytes] | None, fault: str
) -> None:
    """As after a power cut, whoever took the rows: what is missing is said, and nothing is changed."""
    path = cut.path / name
    path.write_bytes(damage(path.read_bytes())) if damage else path.unlink()
    before = {file.name: file.read_bytes() for file in cut.path.iterdir()}
    with pytest.raises(RunFolderError, match=rf"cut cannot go on: .*{name} {fault}.*with --force"):
        train(config(name="cut"), out=cut.path.parent, resume=True)
    assert {file.name: file.read_bytes() for file in cut.path.iterdir()} == before


def test_rows_that_only_the_newest_checkpoint_counts_on_are_trained_again(cut: RunFolder, ended: Path) -> None:
    state = read_checkpoint(cut.previous_checkpoint)
    kept = checkpoints.kept_files(state)["gradients.csv"]
    os.truncate(cut.gradients, kept.length)
    (message,) = resume(cut, ended)
    assert "gradients.csv is cut" in message
    assert message.endswith("the checkpoint before it is used, of update 4")


def test_without_any_checkpoint_that_can_be_used_the_remedy_is_said(cut: RunFolder) -> None:
    _flip(cut.checkpoint)
    _flip(cut.previous_checkpoint)
    with pytest.raises(RunFolderError, match=r"checkpoint.pt is damaged.*previous.pt is damaged.*with --force"):
        last_checkpoint(cut)


@pytest.mark.parametrize("name", ["checkpoint.pt", "checkpoint.previous.pt"])
def test_a_folder_in_the_place_of_a_checkpoint_is_named_and_nothing_is_changed(
    cut: RunFolder, ended: Path, name: str
) -> None:
    (cut.path / name).rename(cut.path / "kept")
    (cut.path / name).mkdir()
    (cut.path / name / "notes").write_text("mine")
    before = {path.name: path.read_bytes() for path in cut.path.iterdir() if path.is_file()}
    with pytest.raises(RunFolderError, match=rf"{name} is a folder, .*; move it away"):
        resume(cut, ended)
    assert {path.name: path.read_bytes() for path in cut.path.iterdir() if path.is_file()} == before
    (cut.path / name).rename(cut.path.parent / "moved away")
    (cut.path / "kept").unlink()
    resume(cut, ended)


def test_rows_are_on_the_disk_before_the_checkpoint_that_counts_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each checkpoint takes its name after both CSV files, itself and nothing else were written to the disk."""
    order: list[str] = []
    sync, replace = os.fsync, Path.replace

    def named(number: int) -> None:
        order.append(Path(os.readlink(f"/proc/self/fd/{number}")).name.split(".pt.")[0].lstrip("."))
        sync(number)

    def moved(self: Path, target: Path) -> Path:
        order.append(f"-> {target.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", named)
    monkeypatch.setattr(Path, "replace", moved)
    train(config(name="one"), out=tmp_path)
    places = [place for place, what in enumerate(order) if what == "-> checkpoint.pt"]
    assert len(places) == 1 + 9 + 1  # at the start, after each update but the last, at the end
    for place in places:
        before = [what for what in order[:place] if what != "-> checkpoint.previous.pt"]
        assert before[-3:] == ["gradients.csv", "metrics.csv", "checkpoint"]
        assert order[place + 1] == "one"


def test_drafts_of_killed_processes_are_cleared(cut: RunFolder, ended: Path) -> None:
    (cut.path / ".checkpoint.pt.0123abcd").write_bytes(b"half")
    resume(cut, ended)
    assert not [path for path in cut.path.iterdir() if path.name.startswith(".")]


def test_a_disk_that_was_full_before_the_first_checkpoint_can_have_room_again(
    ended: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        full = OSError(errno.ENOSPC, "No space left on device")
        patch.setattr(recorder, "write_checkpoint", lambda *_: (_ for _ in ()).throw(RunFailedError(str(full))))
        with pytest.raises(RunFailedError, match="No space left on device"):
            train(config(name="cut"), out=tmp_path)
    folder = RunFolder(tmp_path / "cut")
    assert folder.status == "failed"
    assert not folder.has_checkpoint
    (message,) = resume(folder, ended)
    assert message.endswith("has no checkpoint yet; the run begins again from its first update")
