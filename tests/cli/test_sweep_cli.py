"""`rnnlab sweep`: its output and exit codes; problems are reported before anything runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import Call
from jsonschema import Draft202012Validator

from rnnlab.config import Config
from rnnlab.errors import ConfigError, RunFailedError
from rnnlab.sweeps.file import load_sweep, sweep_schema
from rnnlab.training.recorder import Recorder

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "configs").glob("sweep_*.yaml"))
TEXT = """\
base:
  task: {name: addition, length: 10}
  model: {hidden: 3}
  train: {updates: 2, batch: 2, evaluate_size: 4}
axes:
  grid: {model.cell: [rnn, gru]}
seeds: 2
"""


@pytest.fixture
def file(rnn: Call, tmp_path: Path) -> str:
    """mine.yaml: two fleets of two."""
    (tmp_path / "mine.yaml").write_text(TEXT)
    return "mine.yaml"


@pytest.fixture
def call(rnn: Call) -> Call:
    return rnn


def test_a_sweep_from_plan_to_nothing_to_do(call: Call, file: str) -> None:
    result = call("sweep", "-c", file, "--dry-run")
    assert result.code == 0
    assert result.out.splitlines()[0] == "new          rnn-T10-s0"
    assert "# runs: 4: 4 new\n# to train: 4 runs in 2 fleets\n# time: about" in result.out
    assert re.search(r"^# disk: about \d+\.\d kB$", result.out, re.MULTILINE)
    assert not Path("runs").exists()

    result = call("sweep", "-c", file, "--engine", "inline", "--max-runs", "1")
    assert re.match(r"mine: 4 runs: 1 completed, 3 left for later; 1 trained now, in .*s\n$", result.out)
    result = call("sweep", "-c", file, "--engine", "inline", "--json")
    printed = json.loads(result.out)
    assert (result.code, printed["sweep"], printed["runs"], printed["trained"], printed["completed"]) == (
        0,
        "mine",
        4,
        3,
        4,
    )
    result = call("sweep", "-c", file)
    assert (result.code, result.out, result.err) == (0, "mine: 4 runs: 4 completed; none to train\n", "")
    assert call("sweep", "-c", file, "-q") == (0, "", "")

    planned = json.loads(call("sweep", "-c", file, "--set", "seeds=3", "--dry-run", "--json").out)
    assert planned["count"] == {"completed": 4, "new": 2}
    assert planned["runs"][0]["settings"] == {"model.cell": "rnn", "seed": 0}
    assert {"status", "name", "identity"} < planned["runs"][0].keys()


def test_with_nothing_to_do_torch_is_not_loaded(call: Call, file: str) -> None:
    assert call("sweep", "-c", file, "--engine", "inline", "-q").code == 0
    script = f"""
import sys
from rnnlab.cli import main
try:
    main(["sweep", "-c", "{file}"])
except SystemExit:
    print([name for name in ("torch", "pandas", "numba", "ray") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["mine: 4 runs: 4 completed; none to train", "[]"]


def test_failures_are_named_with_the_command_that_repeats_them(
    call: Call, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Recorder.begin

    def faulty(run: Recorder) -> None:
        if run.name == "gru-T10-s1":
            raise LookupError("made to fail")
        begin(run)

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "begin", faulty)
        result = call("sweep", "-c", file, "--engine", "inline")
    assert result.code == 3
    assert "mine: 4 runs: 3 completed, 1 failed; 3 trained now" in result.out
    assert (
        "gru-T10-s1 failed: LookupError: made to fail\n  rnnlab train --config runs/gru-T10-s1/config.yaml"
        in result.out
    )
    assert result.err.endswith("rnnlab: 1 of 4 runs failed\n")
    command = next(line for line in result.out.splitlines() if line.startswith("  rnnlab train"))
    assert call(*command.split()[1:], "-q").code == 0
    assert call("sweep", "-c", file).out == "mine: 4 runs: 4 completed; none to train\n"


def test_a_full_disk_is_told_once_and_nothing_is_lost(call: Call, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(run: Recorder) -> None:
        raise RunFailedError("runs/x cannot be written: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "begin", full)
        result = call("sweep", "-c", file, "--engine", "inline")
    assert (result.code, result.out) == (3, "")
    assert result.err.endswith("rnnlab: runs/x cannot be written: No space left on device\n")
    assert call("sweep", "-c", file, "--engine", "inline").code == 0


def test_diverged_runs_are_results_unless_asked(call: Call, file: str) -> None:
    wild = ["--set", "optimizer={name: sgd, lr: 1.0e+9}", "--set", "train.updates=60", "--engine", "inline"]
    assert call("sweep", "-c", file, *wild).code == 0
    result = call("sweep", "-c", file, *wild, "--fail-on-diverged")
    assert (result.code, result.err) == (3, "rnnlab: 4 of 4 runs diverged\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--engine", "raj"], 2, "there is no engine 'raj'; did you mean 'ray'? (choices: inline, local, ray, slurm)"),
        (["--engine", "inline", "-j", "3"], 2, "inline trains one fleet at a time"),
        (["--engine", "local", "--address", "auto"], 2, "--address is for the engine ray"),
        (["--address", "nonsense"], 2, "write auto, HOST:PORT or ray://HOST:PORT"),
        (["--address", "127.0.0.1:1"], 5, "there is no Ray cluster at 127.0.0.1:1 ("),
        (["--address", "ray://127.0.0.1:1"], 5, "`ray start --head` starts one here"),
        (
            ["--set", "model.cell=gru"],
            2,
            "model.cell is an axis of this sweep; change it there, or take some of its values with --only",
        ),
        (
            ["--set", "axes.grid.model.cell=[gru]"],
            2,
            "the axes stand in the file; take some of their values with --only",
        ),
        (["--set", "train.update=3"], 2, "did you mean 'updates'"),
        (["--set", "seeds=0"], 2, "seeds: must be a number of seeds"),
    ],
)
def test_what_cannot_be_is_told_before_anything_runs(
    arguments: list[str], code: int, message: str, call: Call, file: str
) -> None:
    pytest.importorskip("ray")
    result = call("sweep", "-c", file, *arguments)
    assert result.code == code
    assert message in result.err
    assert not list(Path("runs").glob("*/run.json"))


def test_each_command_knows_the_others_file(call: Call, file: str) -> None:
    result = call("train", "-c", file)
    assert (result.code, result.err) == (
        2,
        "mine.yaml: this is a sweep, many runs; `rnnlab sweep` trains it, and `rnnlab.sweep` in Python\n",
    )
    Path("one.yaml").write_text("task: addition\nmodel: {hidden: 3}\n")
    result = call("sweep", "-c", "one.yaml")
    assert (result.code, result.err) == (
        2,
        "one.yaml:1:1: task: this is a config: train it with `rnnlab train`, or put it under `base:`\n",
    )
    Path("bad.yaml").write_text(TEXT.replace("gru", "gruu"))
    result = call("validate", file, "one.yaml", "bad.yaml")
    assert result.code == 2
    assert result.out.startswith("bad.yaml:6:28: model.cell: ")
    assert "did you mean 'gru'" in result.out
    assert result.err == "3 files, 1 with problems\n"


def test_a_sweep_without_its_data_does_not_end_the_validation_of_others(call: Call, file: str) -> None:
    """The names of its runs say how long the sequences are, and only the data knows."""
    Path("data.yaml").write_text('base: {task: {name: arrays, path: "no\\x1bne.npz"}}\nseeds: 2\n')
    Path("bad.yaml").write_text(TEXT.replace("gru", "gruu"))
    result = call("validate", "data.yaml", "bad.yaml", file)
    assert result.code == 2
    first, second = result.out.splitlines()[:2]
    assert first == r"data.yaml: no\x1bne.npz: No such file or directory; check task.path"
    assert second.startswith("bad.yaml:6:28: model.cell: ")
    assert result.err == "3 files, 2 with problems\n"


SCHEMA: Any = sweep_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
RIGHT: list[dict[str, Any]] = [
    {"base": "one.yaml", "seeds": 3},
    {"base": {"task": "copy"}, "seeds": [1, 2]},
    {"base": {}, "axes": {"list": [{"task": "copy"}, {"task": {"name": "addition", "length": 20}}]}},
    {"base": {"task": "copy"}, "axes": {"zip": [{"seed": [1, 2], "model.hidden": [3, 4]}]}},
    {"base": {"task": "copy"}, "axes": {"random": {"samples": 3, "optimizer.lr": {"log_uniform": [1e-4, 0.1]}}}},
]
WRONG: list[dict[str, Any]] = [
    {"seeds": 3},
    {"base": {"task": "copy"}},
    {"base": {"task": "copy"}, "seeds": 0},
    {"base": {"task": "copy"}, "seeds": [1, 1]},
    {"base": {"task": "copy", "modl": {}}, "seeds": 1},
    {"base": {"task": "copy"}, "axes": {"gird": {}}},
    {"base": {"task": "copy"}, "axes": {"grid": {"model.hidden": []}}},
    {"base": {"task": "copy"}, "axes": {"grid": {"model.hiden": [1]}}},
    {"base": {"task": "copy"}, "axes": {"random": {"optimizer.lr": {"uniform": [0, 1]}}}},
    {"base": {"task": "copy"}, "axes": {"random": {"samples": 1, "optimizer.lr": {"poisson": [0, 1]}}}},
]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    kept = json.loads((ROOT / "configs" / "sweep.schema.json").read_text())
    assert kept == SCHEMA, "run `make docs`"


@pytest.mark.parametrize("right", RIGHT, ids=str)
def test_what_loads_fulfils_the_schema(right: dict[str, Any], tmp_path: Path) -> None:
    assert VALIDATOR.is_valid(right)
    if isinstance(right["base"], dict):
        assert load_sweep(right).members


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_an_editor_marks_what_does_not_load(wrong: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(wrong)
    with pytest.raises(ConfigError, match=r".+"):
        load_sweep(wrong)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_shipped_sweeps_fulfil_it(path: Path) -> None:
    import yaml

    assert VALIDATOR.is_valid(yaml.safe_load(path.read_text()))
    assert all(isinstance(member.config, Config) for member in load_sweep(path).members)
