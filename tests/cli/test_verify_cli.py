"""`rnnlab verify`: what is damaged is named, with the command that restores it, and that command restores it."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import Call
from trainings import fleet_config, interrupted_after

from rnnlab.runs.folder import RunFolder
from rnnlab.sweeps.driver import train_sweep
from rnnlab.sweeps.engines import Inline
from rnnlab.sweeps.file import load_sweep
from rnnlab.sweeps.results import SweepOptions
from rnnlab.training.loop import train
from rnnlab.training.verify import verify_run

SWEEP = """
base:
  task: {name: addition, length: 10}
  model: {hidden: 3}
  train: {updates: 3, batch: 2, evaluate_size: 10}
  device: cpu
axes: {grid: {model.cell: [rnn, lstm]}}
seeds: 1
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In runs/ one run that ended, one that was interrupted, and two of a sweep."""
    root = tmp_path_factory.mktemp("trained")
    (root / "small.yaml").write_text(SWEEP)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        train(fleet_config(name="whole"), out="runs", command=["rnnlab", "train", "--config", "c.yaml"])
        command = ["rnnlab", "sweep", "--config", "small.yaml", "--engine", "inline"]
        train_sweep(load_sweep("small.yaml"), Inline(), SweepOptions(out="runs", command=command))
        with interrupted_after(5), pytest.raises(KeyboardInterrupt, match="stop"):
            train(fleet_config(name="cut", train={"updates": 20, "batch": 3, "checkpoint_seconds": 0}), out="runs")
    return root


@pytest.fixture
def desk(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def verified(call: Call, *arguments: str) -> dict[str, dict[str, Any]]:
    """What `rnnlab verify --json` says of each run, by its name."""
    lines = call("verify", *arguments, "--json").out.splitlines()
    return {Path(facts["path"]).name: facts for facts in map(json.loads, lines)}


def test_runs_that_nobody_touched_are_whole(desk: Path, rnn: Call) -> None:
    result = rnn("verify")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[-1] == "4 runs are whole"
    assert "goes on with: rnnlab train --config runs/cut/config.yaml --name cut --resume" in result.out
    assert rnn("verify", "-q") == (0, "", "")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[2 * len(data) // 3] ^= 2
    path.write_bytes(data)


def lose_a_row(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    middle = len(lines) // 2
    path.write_bytes(b"".join(lines[:middle] + lines[middle + 1 :]))


@pytest.mark.parametrize("damage", [empty, flip, Path.unlink, lose_a_row])
@pytest.mark.parametrize("name", ["config.yaml", "run.json", "metrics.csv", "gradients.csv", "checkpoint.pt"])
@pytest.mark.parametrize("run", ["whole", "lstm-T10-s0"])
def test_damage_of_any_file_is_found_and_the_command_restores_it(
    run: str, name: str, damage: Callable[[Path], None], desk: Path, rnn: Call
) -> None:
    if damage is lose_a_row and not name.endswith(".csv"):
        pytest.skip("this file has no rows")
    before = {path.name: path.read_bytes() for path in Path("runs", run).iterdir()}
    damage(Path("runs", run, name))
    result = rnn("verify")
    assert result.code == 3
    assert "1 of 4 runs is damaged" in result.err
    facts = verified(rnn)
    assert [name for name, fact in facts.items() if not fact["whole"]] == [run]
    assert any(name in fault for fault in facts[run]["faults"])
    restore = facts[run]["restore"]
    if name == "config.yaml" and run == "whole":
        # Only the command is known that made it.
        assert restore == "rnnlab train --config c.yaml --force"
        return
    for command in restore.split(" && "):
        program, *arguments = shlex.split(command)
        if program == "rm":
            shutil.rmtree(arguments[-1])
        elif program == "cp":
            shutil.copy(*arguments)
        else:
            assert rnn(*arguments, "-q").code == 0
    after = {path.name: path.read_bytes() for path in Path("runs", run).iterdir()}
    assert after.keys() == before.keys()
    assert after["gradients.csv"] == before["gradients.csv"]
    assert rnn("verify").code == 0


def test_rows_that_the_schedule_has_are_missed_also_without_a_hash(desk: Path) -> None:
    folder = RunFolder("runs/whole")
    for name, fault in (("gradients.csv", "has parts of update 0 only"), ("metrics.csv", "has no rows of update")):
        path = folder.path / name
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:3] + lines[4:]))
        folder.update(files=None)
        verification = verify_run(folder.path)
        assert any(fault in each for each in verification.faults), verification.faults
        assert "an earlier version wrote it" in verification.remarks[0]


@pytest.mark.parametrize("name", ["checkpoint.pt", "checkpoint.previous.pt"])
@pytest.mark.parametrize("damage", [empty, flip])
def test_one_damaged_checkpoint_of_two_is_named_and_the_run_goes_on(
    name: str, damage: Callable[[Path], None], desk: Path, rnn: Call
) -> None:
    damage(Path("runs/cut", name))
    facts = verified(rnn, "runs/cut")["cut"]
    (fault,) = facts["faults"]
    assert f"{name} is damaged" in fault
    assert rnn("verify").code == 3
    assert rnn(*shlex.split(facts["restore"])[1:], "-q").code == 0
    assert (verify_run("runs/cut").whole, verify_run("runs/cut").status) == (True, "completed")


def test_an_interrupted_run_that_cannot_go_on_is_damaged(desk: Path, rnn: Call) -> None:
    flip(Path("runs/cut/checkpoint.pt"))
    assert verified(rnn, "runs/cut")["cut"]["restore"].endswith("--resume")  # from the one before
    flip(Path("runs/cut/checkpoint.previous.pt"))
    facts = verified(rnn, "runs/cut")["cut"]
    assert facts["restore"] == "rnnlab train --config runs/cut/config.yaml --name cut --force"
    assert "checkpoint.previous.pt is damaged" in facts["faults"][-1]


def test_what_killed_processes_left_is_named(desk: Path, rnn: Call) -> None:
    Path("runs/.whole.new-0123abcd").mkdir()
    result = rnn("verify")
    assert result.code == 0
    assert "runs/.whole.new-0123abcd was left by a process that was killed" in result.err


def test_a_config_of_another_run_is_found(desk: Path) -> None:
    folder = RunFolder("runs/whole")
    folder.config.write_bytes(folder.config.read_bytes().replace(b"seed: 0", b"seed: 1"))
    folder.update(files=None)
    assert "is not the config that runs/whole/run.json has the identity of" in verify_run("runs/whole").faults[0]


@pytest.mark.parametrize("program", ["curl", "rnnlab.sweep", "train.py", ""])
def test_only_a_command_of_rnnlab_is_recommended(program: str, desk: Path, rnn: Call) -> None:
    """Whoever does what is recommended would run what a stranger's run.json says."""
    folder = RunFolder("runs/lstm-T10-s0")
    folder.update(command=[program, "http://x", "\x1b[31m"], files=None)
    lose_a_row(folder.gradients)
    result = rnn("verify")
    assert "http://x" not in result.out
    assert "restore: rnnlab train --config runs/lstm-T10-s0/config.yaml --name lstm-T10-s0 --force" in result.out
    folder.update(command=["rnnlab", "sweep", "-c", "small.yaml", "\x1b[31m"])
    result = rnn("verify")
    assert "restore: rm -r runs/lstm-T10-s0 && rnnlab sweep -c small.yaml '?[31m'" in result.out


def test_a_run_is_not_deleted_for_a_command_that_does_not_make_it_again(desk: Path, rnn: Call) -> None:
    """A copy of a sweep's run elsewhere, and a run whose sweep file is gone."""
    own = "rnnlab train --config {0}/lstm-T10-s0/config.yaml --name lstm-T10-s0"
    shutil.copytree("runs", "copied")
    Path("small.yaml").rename("moved.yaml")
    for folder, more in (("copied", " --out copied"), ("runs", "")):
        run = RunFolder(f"{folder}/lstm-T10-s0")
        lose_a_row(run.gradients)
        restore = verified(rnn, folder)[run.name]["restore"]
        assert restore == f"{own.format(folder)}{more} --force"
        assert rnn(*shlex.split(restore)[1:], "-q").code == 0
        assert verify_run(run.path).whole


def test_each_problem_of_a_config_has_its_line(desk: Path, rnn: Call) -> None:
    folder = RunFolder("runs/whole")
    folder.config.write_text("task: additon\nseed: -1\n")
    folder.update(files=None)
    lines = rnn("verify").out.splitlines()
    assert any(line.strip().startswith("runs/whole/config.yaml:1:7: task: ") for line in lines), lines
    assert any(line.strip().startswith("runs/whole/config.yaml:2:7: seed: ") for line in lines), lines


def test_a_run_json_without_a_checksum_is_not_verified(desk: Path, rnn: Call) -> None:
    """It is read, since an earlier version wrote none."""
    path = desk / "runs/whole/run.json"
    info = json.loads(path.read_text())
    del info["checksum"]
    path.write_text(json.dumps(info, indent=2))
    verification = verify_run("runs/whole")
    assert (verification.whole, verification.remarks) == (
        True,
        ("run.json has no checksum: an earlier version wrote it, or somebody else",),
    )
    assert "not verified: run.json has no checksum" in rnn("verify", "runs/whole").out
