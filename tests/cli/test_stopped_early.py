"""Runs that stopped before they had written their files: each command says so in a sentence, and how to go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Call
from trainings import fleet_config

from rnnlab.config import load_config
from rnnlab.errors import RunFailedError, RunFolderError
from rnnlab.provenance import this_process
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.readers import metrics_of
from rnnlab.runs.run import Run
from rnnlab.runs.writers import MetricsLog
from rnnlab.training.loop import train
from rnnlab.training.verify import verify_run

CONFIG = """
task: {name: addition, length: 10}
model: {hidden: 3}
train: {updates: 3, batch: 2, evaluate_size: 10}
device: cpu
"""
KILLED = "was not written: its process was killed, or the disk was full"
GONE = {**this_process(), "pid": 2**22 + 1}


@pytest.fixture
def killed(desk: Path) -> RunFolder:
    """A run whose process was killed when it had made the folder."""
    Path("c.yaml").write_text(CONFIG)
    command = ["rnnlab", "train", "-c", "c.yaml", "--name", "r"]
    info = {"process": GONE, "command": command, "identity": load_config("c.yaml").identity()}
    return RunFolder.create("runs", "r", info)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("killed")
def test_a_run_killed_before_its_config_is_named_as_that(rnn: Call) -> None:
    listed, shown, report = rnn("ls"), rnn("show", "r"), rnn("report", "--json")
    assert (listed.code, listed.out.split()[5:7]) == (0, ["r", "interrupted"])
    assert (shown.code, shown.err) == (0, "")
    assert f"runs/r/gradients.csv {KILLED}" in " ".join(shown.out.split())
    assert "repeat" not in shown.out
    assert json.loads(report.out)["left_out"] == {"r": f"runs/r/config.yaml {KILLED}"}


@pytest.mark.usefixtures("killed")
def test_it_is_not_damaged_and_verify_says_how_it_goes_on(rnn: Call) -> None:
    verification = verify_run("runs/r")
    assert (verification.status, verification.faults) == ("interrupted", ())
    assert verification.remarks == (f"runs/r/config.yaml {KILLED}",)
    assert verification.restore == "rnnlab train -c c.yaml --name r --force"
    assert "goes on with: rnnlab train -c c.yaml --name r --force" in rnn("verify").out


@pytest.mark.usefixtures("killed")
def test_its_own_config_is_no_place_to_resume_from(rnn: Call) -> None:
    remedy = "begin it again with the config that it was started with, and --name r --resume"
    for command in (["train", "-c", "runs/r/config.yaml", "--resume"], ["rerun", "r"]):
        assert rnn(*command) == (2, "", f"rnnlab: runs/r/config.yaml {KILLED}; {remedy}\n")
    other = rnn("train", "-c", "c.yaml", "--name", "r", "--set", "seed=3", "--resume")
    assert "resume it with the config that it was started with, of which train.stop, " in other.err
    assert other.err.endswith(" may change, or choose another --name\n")
    resumed = rnn("train", "-c", "c.yaml", "--name", "r", "--resume", "--json")
    assert (resumed.code, json.loads(resumed.out)["status"]) == (0, "completed")


def test_files_come_in_their_order(killed: RunFolder) -> None:
    """One that is missing before one that is there was lost, and is not said to be unwritten."""
    with pytest.raises(RunFolderError, match=rf"metrics\.csv {KILLED}"):
        metrics_of(killed)
    killed.gradients.write_text("")
    with pytest.raises(RunFolderError, match=r"config\.yaml cannot be read: No such file"):
        _ = Run("runs/r").config
    assert verify_run("runs/r").faults == ("runs/r/config.yaml cannot be read: No such file or directory",)


@pytest.mark.parametrize(
    ("status", "sentence"), [("running", "is not written yet"), ("failed", "was not written: the cluster was stopped")]
)
def test_the_sentence_has_what_run_json_knows(status: str, sentence: str, killed: RunFolder) -> None:
    killed.finish(status, "the cluster was stopped", process=this_process())
    with pytest.raises(RunFolderError, match=rf"config\.yaml {sentence}"):
        _ = Run("runs/r").config
    assert verify_run("runs/r").remarks == (f"runs/r/config.yaml {sentence}",)


def test_what_a_completed_run_lacks_is_damage(killed: RunFolder, rnn: Call) -> None:
    killed.finish("completed", "all updates made")
    assert "runs/r/config.yaml cannot be read: No such file or directory" in verify_run("runs/r").faults
    assert rnn("show", "r").code == 3


def test_verify_has_the_reason_for_which_rows_have_no_hash(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk refuses the rows and takes run.json."""
    full = "metrics.csv cannot be written: No space left on device"

    def refuse(*_: object) -> None:
        raise RunFailedError(full)

    monkeypatch.setattr(MetricsLog, "write", refuse)
    monkeypatch.setattr(MetricsLog, "sync", refuse)
    with pytest.raises(RunFailedError, match="No space left"):
        train(fleet_config(name="full"), out="runs")
    assert (Run("runs/full").status, Run("runs/full").info["reason"]) == ("failed", full)
    unsealed = f"run.json has no length and hash of gradients.csv and metrics.csv: {full}"
    assert verify_run("runs/full").remarks == (unsealed,)
