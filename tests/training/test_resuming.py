"""A run that stopped goes on, or begins again, to the same end; and no two processes ever train it at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from trainings import fleet_config as config
from trainings import interrupted_after

from rnnlab.config import Config
from rnnlab.errors import DeviceMissingError, RunExistsError, RunFailedError, RunFolderError
from rnnlab.provenance import this_process
from rnnlab.runs.claims import Claims, folder_key
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run import Run
from rnnlab.training.checkpoints import read_checkpoint, write_checkpoint
from rnnlab.training.fleet import Fleet
from rnnlab.training.loop import train, train_fleet
from rnnlab.training.start import Start, check_resumable


def interrupted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, updates: int = 4) -> None:
    whole, count = Fleet.apply_gradients, 0

    def apply(self: Fleet, taken: Any) -> None:
        nonlocal count
        count += 1
        whole(self, taken)
        if count == updates:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Fleet, "apply_gradients", apply)
    with pytest.raises(KeyboardInterrupt):
        train(config(name=name), out=tmp_path)
    monkeypatch.undo()


def test_a_resumed_run_is_the_run_that_was_never_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted("cut", tmp_path, monkeypatch)
    resumed = train(config(name="cut"), out=tmp_path, resume=True)
    whole = train(config(name="whole"), out=tmp_path)
    assert resumed.dir.gradients.read_bytes() == whole.dir.gradients.read_bytes()
    pd.testing.assert_frame_equal(resumed.metrics.drop(columns="seconds"), whole.metrics.drop(columns="seconds"))
    assert resumed.info["verdict"] == whole.info["verdict"]
    assert resumed.info["result"] == whole.info["result"]


def test_what_had_only_its_last_word_to_say_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends between the last checkpoint and run.json, as on a full disk."""
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "finish", lambda *_, **__: (_ for _ in ()).throw(RunFailedError("full")))
        with pytest.raises(RunFailedError, match="full"):
            train(config(name="cut"), out=tmp_path)
    RunFolder(tmp_path / "cut").update(process={**this_process(), "pid": 2**22 + 1})
    resumed, whole = train(config(name="cut"), out=tmp_path, resume=True), train(config(name="whole"), out=tmp_path)
    assert (resumed.status, resumed.info["result"]) == ("completed", whole.info["result"])
    assert resumed.dir.gradients.read_bytes() == whole.dir.gradients.read_bytes()


@pytest.mark.parametrize("before", [(5000.0, 5.0), (5.0, 5000.0)])
def test_runs_that_go_on_together_keep_their_own_time(
    before: tuple[float, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has the seconds of its own checkpoint before it, not those of the fleet's first."""
    for name, seconds in zip("ab", before, strict=True):
        interrupted(name, tmp_path, monkeypatch)
        state = read_checkpoint(RunFolder(tmp_path / name).checkpoint)
        state["record"]["seconds"] = seconds
        write_checkpoint(RunFolder(tmp_path / name), state["updates"], state)
    train_fleet([Start(config(name=name), name, resume=True) for name in "ab"], out=tmp_path)
    for name, seconds in zip("ab", before, strict=True):
        run = Run(tmp_path / name)
        later = run.metrics[run.metrics["update"] >= 4]["seconds"]
        assert run.metrics["seconds"].is_monotonic_increasing
        assert later.between(seconds, seconds + 1000).all()
        assert 20 / (seconds + 1000) < run.info["updates_per_second"] < 20 / seconds
        assert seconds < torch.load(run.dir.checkpoint, weights_only=True)["record"]["seconds"] < seconds + 1000


def test_only_an_unfinished_run_of_the_same_config_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted("cut", tmp_path, monkeypatch)
    with pytest.raises(RunFolderError, match="another config"):
        train(config(name="cut", seed=5), out=tmp_path, resume=True)
    with pytest.raises(RunFolderError, match=r"another config \(seed is 0 there and 5 here\)"):
        check_resumable(RunFolder(tmp_path / "cut"), config(name="cut", seed=5))
    with pytest.raises(RunFolderError, match="is not a run: there is no such folder"):
        train(config(name="never"), out=tmp_path, resume=True)
    train(config(name="cut"), out=tmp_path, resume=True)
    with pytest.raises(RunFolderError, match="is completed"):
        train(config(name="cut"), out=tmp_path, resume=True)


KILLED = """
import json, os, signal, sys
from rnnlab.config import Config
from rnnlab.training.fleet import Fleet
from rnnlab.training.loop import train

def apply(fleet, taken, whole=Fleet.apply_gradients, count=[]):
    whole(fleet, taken)
    count.append(1)
    if len(count) == 4:
        os.kill(os.getpid(), signal.SIGKILL)

Fleet.apply_gradients = apply
train(Config.model_validate(json.loads(sys.argv[1])), out=sys.argv[2])
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with `cut`, whose process killed itself after four updates."""
    out, described = tmp_path_factory.mktemp("killed"), config(name="cut", probe={"schedule": 1})
    command = [sys.executable, "-c", KILLED, json.dumps(described.resolved()), str(out)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    return out


@pytest.mark.long
@pytest.mark.xdist_group("killed")
@pytest.mark.parametrize("status", ["running", "interrupted", "failed"])
@pytest.mark.parametrize("checkpoint", [True, False])
def test_a_run_killed_in_its_first_minute_is_resumed(
    status: str, checkpoint: bool, killed: Path, tmp_path: Path
) -> None:
    """Killed (marked as running, its process is gone), or marked by a sweep or by its own error; rows are replaced.

    It goes on from the checkpoint that it began with, or begins again where that could not be written.
    """
    described = config(name="cut", probe={"schedule": 1})
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True)
    folder, messages = RunFolder(tmp_path / "cut"), list[str]()
    assert folder.read_run()["status"] == "running"
    assert len(folder.gradients.read_bytes().splitlines()) == 1 + 4 * 12 * 2
    assert read_checkpoint(folder.checkpoint)["updates"] == 0
    if not checkpoint:
        folder.checkpoint.unlink()
    folder.update(status=status, sweep="mine")
    again = train(described, out=tmp_path, resume=True, notify=messages.append)
    whole = train(config(name="whole", probe={"schedule": 1}), out=tmp_path)
    assert again.path == tmp_path / "cut"
    remark = f"{tmp_path / 'cut'} has no checkpoint yet; the run begins again from its first update"
    assert [message for message in messages if "begins again" in message] == ([] if checkpoint else [remark])
    assert again.dir.gradients.read_bytes() == whole.dir.gradients.read_bytes()
    pd.testing.assert_frame_equal(again.metrics.drop(columns="seconds"), whole.metrics.drop(columns="seconds"))
    assert (again.status, again.info["result"]) == (whole.status, whole.info["result"])
    assert again.info["sweep"] == "mine"


SLOW = """
import json, sys, time
from rnnlab.config import Config
from rnnlab.errors import RnnlabError
from rnnlab.training.fleet import Fleet
from rnnlab.training.loop import train

def apply(fleet, taken, whole=Fleet.apply_gradients):
    time.sleep(0.1)
    whole(fleet, taken)

Fleet.apply_gradients = apply
print("ready", flush=True)
sys.stdin.readline()
try:
    train(Config.model_validate(json.loads(sys.argv[1])), out=sys.argv[2], **json.loads(sys.argv[3]))
except RnnlabError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def at_once(described: Config, out: Path, **how: bool) -> list[tuple[int, int, str]]:
    """Two processes that train it at the same time: pid, exit code and stderr of each."""
    command = [sys.executable, "-c", SLOW, json.dumps(described.resolved()), str(out), json.dumps(how)]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    both = [subprocess.Popen(command, text=True, **pipes) for _ in range(2)]
    for one in both:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in both:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    messages = [one.communicate(timeout=120)[1] for one in both]
    return [(one.pid, one.returncode, words) for one, words in zip(both, messages, strict=True)]


@pytest.mark.long
@pytest.mark.parametrize("how", ["resume", "force"])
def test_of_two_processes_one_trains_the_run(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted("cut", tmp_path, monkeypatch)
    ended = sorted(at_once(config(name="cut"), tmp_path, **{how: True}), key=lambda one: one[1])
    assert [code for _, code, _ in ended] == [0, 1], ended
    assert f"RunExistsError: {tmp_path / 'cut'} is being trained by process {ended[0][0]} on " in ended[1][2]
    assert "wait until that has ended, or stop it" in ended[1][2]
    run, whole = Run(tmp_path / "cut"), train(config(name="whole"), out=tmp_path)
    assert run.status == "completed"
    assert run.dir.gradients.read_bytes() == whole.dir.gradients.read_bytes()
    assert list(run.metrics["update"]) == list(whole.metrics["update"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [".rnnlab", "cut", "whole"]


@pytest.mark.parametrize("how", [{"force": True}, {"resume": True}, {}])
def test_a_run_that_is_claimed_is_refused(
    how: dict[str, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its run.json says, and even before it has a folder; what is there stays as it is."""
    name = "cut" if how else "new"
    interrupted("cut", tmp_path, monkeypatch)
    before = {path.name: path.read_bytes() for path in (tmp_path / "cut").iterdir()}
    with Claims(tmp_path) as theirs:
        theirs.take([folder_key(name)])
        with pytest.raises(RunExistsError, match=rf"{name} is being trained by process {os.getpid()} on "):
            train(config(name=name), out=tmp_path, **how)
        assert {path.name: path.read_bytes() for path in (tmp_path / "cut").iterdir()} == before
    assert train(config(name=name), out=tmp_path, **how).status == "completed"


def test_equal_runs_of_two_names_go_on_side_by_side(tmp_path: Path) -> None:
    with Claims(tmp_path) as theirs:
        theirs.take([folder_key("first"), config().identity()])
        assert train(config(name="again"), out=tmp_path).status == "completed"
        assert train(config(), out=tmp_path).status == "completed"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError("mid")])
def test_the_claim_goes_with_the_training(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(fleet: Fleet) -> Any:
        with Claims(tmp_path) as others:
            assert others.take([folder_key("one")]) == set()
        raise error

    monkeypatch.setattr(Fleet, "compute_gradients", raises)
    with pytest.raises(type(error)):
        train(config(name="one"), out=tmp_path)
    with Claims(tmp_path) as others:
        assert others.take([folder_key("one")])


def test_without_locks_a_run_goes_on_and_says_so(tmp_path: Path) -> None:
    (tmp_path / ".rnnlab").touch()
    messages: list[str] = []
    assert train(config(name="one"), out=tmp_path, notify=messages.append).status == "completed"
    assert any("goes on without a claim" in message for message in messages)


def test_what_the_machine_lacks_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DeviceMissingError, match="cuda:99"):
        train(config(name="one", device="cuda:99"), out=tmp_path / "runs", force=True)
    assert not (tmp_path / "runs").exists()


def test_a_run_is_resumed_with_the_threads_that_it_began_with(tmp_path: Path) -> None:
    """Another number rounds otherwise: a sweep gives what it resumes other processors than it had."""
    before, seen = torch.get_num_threads(), list[int]()
    described = config(name="cut", train={"updates": 20, "batch": 40}, model={"cell": "rnn", "hidden": 40})
    try:
        torch.set_num_threads(2)
        whole = train(Config.model_validate({**described.resolved(), "name": "whole"}), out=tmp_path)
        with interrupted_after(4), pytest.raises(KeyboardInterrupt, match="stop"):
            train(described, out=tmp_path)
        torch.set_num_threads(1)
        resumed = train(described, out=tmp_path, resume=True)
        seen.append(torch.get_num_threads())
    finally:
        torch.set_num_threads(before)
    assert seen == [1]
    assert resumed.info["threads"] == 2
    assert resumed.dir.gradients.read_bytes() == whole.dir.gradients.read_bytes()
