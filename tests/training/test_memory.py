"""The forecast of memory is held against what trainings really take, and a run that is too large is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import Call
from hypothesis import given, settings
from hypothesis import strategies as st
from trainings import config

import rnnlab
from rnnlab.config import Config, load_config
from rnnlab.errors import NotEnoughMemoryError
from rnnlab.optimizers import OPTIMIZERS, OptimizerPart
from rnnlab.tasks import TASKS
from rnnlab.training import room
from rnnlab.training.memory import forecast_memory
from rnnlab.training.sizes import evaluation_chunk

HUGE = {"task": {"name": "addition", "length": 10**8}}
TRAINING = """
import json, sys
from rnnlab.config import load_config
from rnnlab.training.loop import train_fleet
from rnnlab.training.start import Start

configs = load_config(json.loads(sys.argv[1])).seeded(*range(int(sys.argv[2])))
train_fleet([Start(config, f"run-{config.seed}") for config in configs], out=sys.argv[3])
(line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(int(line.split()[1]) * 1024)
"""


def described(task: str = "addition", *, length: int, batch: int, hidden: int, **more: Any) -> dict[str, Any]:
    train = {"batch": batch, "updates": 2, "scan": more.pop("scan", "auto"), "evaluate_size": 300}
    model = {"cell": more.pop("cell", "lstm"), "hidden": hidden, "layers": more.pop("layers", 1)}
    return {"task": {"name": task, "length": length}, "model": model, "train": train, "device": "cpu", **more}


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
@pytest.mark.parametrize(
    ("given_config", "replicas"),
    [
        pytest.param(described(length=500, batch=200, hidden=128, layers=2), 1, marks=pytest.mark.slow),
        (described("copy", length=300, batch=300, hidden=64, dtype="float64", probe={"which": ["adjoint"]}), 1),
        pytest.param(
            described(length=20, batch=20, hidden=1500, cell="gru", probe={"which": []}), 1, marks=pytest.mark.slow
        ),
        (described(length=200, batch=50, hidden=100, cell="rnn"), 8),
        (described("copy", length=60, batch=200, hidden=128, scan="general"), 1),
        (described(length=300, batch=200, hidden=128, scan="fused", probe={"schedule": 1}), 1),
        (described(length=10, batch=2, hidden=3), 1),
    ],
)
@pytest.mark.long
def test_the_forecast_is_what_a_training_takes(given_config: dict[str, Any], replicas: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", TRAINING, json.dumps(given_config), str(replicas), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    forecast = forecast_memory(load_config(given_config).seeded(*range(replicas)), threads=torch.get_num_threads())
    # A process that had to compile its loops took some 300 MiB more for that, before its arrays were there.
    compiling = 300 * 2**20
    assert forecast.peak / 1.4 - compiling < int(done.stdout) < max(1.4 * forecast.peak, forecast.process + compiling)


@given(st.data())
@settings(max_examples=60)
def test_more_of_anything_never_takes_less(data: st.DataObject) -> None:
    options = {
        "length": st.integers(10, 10**6),
        "batch": st.integers(1, 10**5),
        "hidden": st.integers(1, 10**4),
        "layers": st.integers(1, 9),
    }
    sizes = {name: data.draw(numbers, name) for name, numbers in options.items()}
    kinds = {
        "scan": data.draw(st.sampled_from(["fast", "general", "fused"])),
        "cell": data.draw(st.sampled_from(["rnn", "lstm"])),
    }
    task = data.draw(st.sampled_from(["addition", "copy"]))
    key = data.draw(st.sampled_from(sorted(sizes)))
    small, large = (
        forecast_memory([load_config(described(task, **{**sizes, key: sizes[key] * factor}, **kinds))])
        for factor in (1, 2)
    )
    # An evaluation takes fewer sequences at once where each takes more.
    for part in ("weights", "scan", "update", "probes", "saving", "starting"):
        assert getattr(large, part) >= getattr(small, part)


@pytest.mark.parametrize(
    ("part", "options"),
    [
        (part, options)
        for part in OPTIMIZERS.values()
        for options in ({}, {"momentum": 0.9}, {"centered": True}, {"amsgrad": True})
        if options.keys() <= part.model_fields.keys()
    ],
)
def test_what_optimizers_remember_is_counted(part: type[OptimizerPart], options: dict[str, Any]) -> None:
    optimizer, weights = part.model_validate(options), torch.ones(1, 64)
    built = optimizer.build([weights])
    weights.grad = torch.ones(1, 64)
    built.step()
    held = [value for value in built.state.get(weights, {}).values() if isinstance(value, torch.Tensor)]
    counted = forecast_memory([config(optimizer={"name": part.key(), **options})]).weights
    without = forecast_memory([config(optimizer={"name": "sgd"})]).weights
    assert counted // without - 1 == sum(value.numel() == 64 for value in held)


@pytest.mark.parametrize(
    "name", [name for name, task in TASKS.items() if "length" in task.model_fields and task.endless]
)
def test_a_length_of_a_hundred_million_is_refused_at_once(name: str, tmp_path: Path) -> None:
    with pytest.raises(NotEnoughMemoryError, match=r"takes about .* TB .* are free here; .*task\.length=\d+"):
        rnnlab.train({"task": {"name": name, "length": 10**8}}, out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("scan", ["fast", "general", "fused"])
def test_what_is_said_to_fit_does_fit(scan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_memory", lambda: 2 * 10**9)
    large = load_config(described(length=1000, batch=2000, hidden=500, scan=scan))
    with pytest.raises(NotEnoughMemoryError, match=r"it would fit with .*--force-memory") as error:
        room.check_memory(large)
    remedies = [
        word.rstrip(",;") for word in str(error.value).split() if word.startswith(("train.", "model.", "task."))
    ]
    assert {"train.batch", "model.hidden", "task.length"} == {remedy.split("=")[0] for remedy in remedies}
    for remedy in remedies:
        room.check_memory(load_config(large.resolved(), [remedy]))


def test_probes_that_take_the_memory_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    large = load_config(described(length=1000, batch=500, hidden=200))
    without = load_config(large.resolved(), ["probe.which=[adjoint,weights]"])
    monkeypatch.setattr(room, "free_memory", lambda: forecast_memory([without]).beyond_process + 2**20)
    monkeypatch.setattr(room, "resident_memory", lambda: 2**40)
    with pytest.raises(NotEnoughMemoryError, match=r"probe\.which=\[adjoint,weights\]"):
        room.check_memory(large)


def test_forced_it_trains_all_the_same(rnn: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(room, "free_memory", lambda: 0)
    monkeypatch.setattr(room, "resident_memory", lambda: 0)
    (tmp_path / "small.yaml").write_text(config().to_yaml())
    refused = rnn("train", "-c", "small.yaml", "--name", "mine")
    assert (refused.code, refused.out) == (2, "")
    assert "0 bytes are free here" in refused.err
    assert not Path("runs").exists()
    assert rnn("train", "-c", "small.yaml", "--name", "mine", "--force-memory", "-q").code == 0
    assert rnnlab.train(config(), out=tmp_path / "other", force_memory=True).status == "completed"


def test_a_dry_run_shows_the_forecast(rnn: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(config().to_yaml())
    shown = rnn("train", "-c", "small.yaml", "--dry-run")
    assert (shown.code, "# memory: about 4" in shown.out) == (0, True)
    shown = rnn("train", "-c", "small.yaml", "--dry-run", "--set", "train.batch=900000", "--set", "model.hidden=10000")
    assert (shown.code, "# memory: too much: this run takes about" in shown.out) == (0, True)
    plan = json.loads(rnn("train", "-c", "small.yaml", "--dry-run", "--json").out)["plan"]
    assert plan["memory"] == forecast_memory([config()], threads=torch.get_num_threads()).peak


@pytest.mark.parametrize("timesteps", [1, 100, 10**8])
def test_an_evaluation_batch_is_bounded(timesteps: int) -> None:
    chunk = evaluation_chunk(timesteps, 400)
    assert 1 <= chunk <= 256
    assert chunk == 1 or chunk * timesteps * 400 <= 2**23


def test_data_files_are_counted(files: Path) -> None:
    path = files / "arrays.npz"
    held = load_config({"task": {"name": "arrays", "path": str(path)}})
    assert forecast_memory([held]).data == path.stat().st_size


def test_a_configs_forecast_needs_no_torch() -> None:
    script = (
        "import sys; from rnnlab.config import load_config; from rnnlab.training.memory import forecast_memory;"
        f"forecast_memory([load_config({HUGE!r})]); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_config_is_not_changed_by_the_search_for_a_remedy() -> None:
    large = load_config(HUGE)
    before: Config = large.model_copy(deep=True)
    with pytest.raises(NotEnoughMemoryError, match=r"task\.length"):
        room.check_memory(large)
    assert large == before
