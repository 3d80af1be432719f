"""What happens to a watched model: copies, other formats, compilation; and how a recording ends when it must."""

from __future__ import annotations

import copy
import errno
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import rnnlab
from rnnlab.errors import RunFailedError
from rnnlab.runs.writers import GradientLog, MetricsLog


def sgd(module: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(module.parameters(), lr=0.01)


def updates(model: nn.Module, optimizer: torch.optim.Optimizer, n: int, dtype: torch.dtype = torch.float32) -> None:
    for _ in range(n):
        optimizer.zero_grad()
        model(torch.randn(5, 3, 2, dtype=dtype))[0].square().mean().backward()
        optimizer.step()


def test_a_model_that_becomes_double_on_the_way(tmp_path: Path) -> None:
    model = nn.GRU(2, 3)
    optimizer = sgd(model)
    with rnnlab.watch(model, tmp_path / "run", optimizer=optimizer, every=1) as watch:
        updates(model, optimizer, 1)
        model.double()
        updates(model, optimizer, 1, torch.float64)
    assert watch.run.metrics["verified"].tolist() == [1, 1]
    assert watch.run.metrics["deviation"].iloc[1] < 1e-9


def test_the_model_and_its_optimizer_are_copied_while_watched(tmp_path: Path) -> None:
    model = nn.LSTM(2, 3)
    optimizer = sgd(model)
    with rnnlab.watch(model, tmp_path / "run", optimizer=optimizer, every=1) as watch:
        updates(model, optimizer, 1)
        for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            updates(twin, sgd(twin), 1)
            assert not torch.equal(twin.get_parameter("weight_hh_l0"), model.get_parameter("weight_hh_l0"))
        optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        updates(model, optimizer, 1)
    assert watch.run.metrics["verified"].tolist() == [1, 1]
    assert watch.run.metrics["update"].tolist() == [0, 1]


@pytest.mark.parametrize("log", [GradientLog, MetricsLog])
def test_a_full_disk_ends_the_recording_and_not_the_loop(
    log: type[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RunFailedError(f"gradients.csv cannot be written: {os.strerror(errno.ENOSPC)}")

    model = nn.GRU(2, 3)
    optimizer = sgd(model)
    with rnnlab.watch(model, tmp_path / "run", optimizer=optimizer, every=1) as watch:
        updates(model, optimizer, 2)
        monkeypatch.setattr(log, "write", full)
        updates(model, optimizer, 2)
    assert watch.closed
    assert watch.run.status == "failed"
    assert "No space left on device" in watch.run.info["reason"]
    assert "No space left on device" in caplog.text
    assert watch.run.gradients["update"].unique().tolist()[:2] == [0, 1]


def test_a_full_disk_at_the_end_is_no_error_of_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RunFailedError("run.json cannot be written: No space left on device")

    model = nn.GRU(2, 3)
    optimizer = sgd(model)
    with rnnlab.watch(model, tmp_path / "run", optimizer=optimizer, every=1) as watch:
        updates(model, optimizer, 1)
        monkeypatch.setattr("rnnlab.runs.folder.RunFolder.finish", full)
    assert watch.closed


@pytest.mark.parametrize("values", [{"loss": "high"}, {"loss": torch.ones(2)}, {"a,b": 1.0}])
def test_a_figure_that_is_none_does_not_stop_the_loop(values: Any, tmp_path: Path) -> None:
    model = nn.GRU(2, 3)
    optimizer = sgd(model)
    with rnnlab.watch(model, tmp_path / "run", optimizer=optimizer, every=1) as watch:
        updates(model, optimizer, 1)
        watch.log(**values)
        updates(model, optimizer, 1)
    assert watch.run.status == "failed"
    assert watch.run.metrics["update"].tolist() == [0]


def test_a_loss_that_is_logged_before_its_backward_pass_belongs_to_its_update(tmp_path: Path) -> None:
    model = nn.GRU(2, 3)
    optimizer = sgd(model)
    with rnnlab.watch(model, tmp_path / "run", optimizer=optimizer, every=2) as watch:
        for update in range(4):
            loss = model(torch.randn(5, 3, 2))[0].mean()
            watch.log(loss=update)
            loss.backward()
            optimizer.step()
    assert watch.run.metrics["loss"].tolist() == [0, 2]


def test_a_backward_pass_that_fails_is_forgotten(tmp_path: Path) -> None:
    def refuse(gradient: Tensor) -> Tensor:
        raise ValueError("the user's own")

    model = nn.GRU(2, 3)
    optimizer = sgd(model)
    with rnnlab.watch(model, tmp_path / "run", optimizer=optimizer, every=1) as watch:
        x = torch.randn(5, 3, 2, requires_grad=True)
        (y := x * 1).register_hook(refuse)
        with pytest.raises(ValueError, match=r"^the user's own$"):
            model(y)[0].sum().backward()
        updates(model, optimizer, 2)
    assert watch.run.metrics["verified"].tolist() == [1, 1]
    assert watch.run.metrics["backwards"].tolist() == [1, 1]


def test_a_state_that_is_zeroed_in_place_begins_another_sequence(tmp_path: Path) -> None:
    model = nn.GRU(2, 3)
    optimizer = sgd(model)
    with rnnlab.watch(model, tmp_path / "run", optimizer=optimizer, every=1) as watch:
        state = None
        for window in range(3):
            output, state = model(torch.randn(5, 3, 2), state)
            output.sum().backward()
            optimizer.step()
            state = state.detach()
            if window == 1:
                state.zero_()
            with torch.no_grad():
                model(torch.randn(7, 3, 2))
    assert watch.run.metrics["offset"].tolist() == [0, 5, 0]


def test_one_cell_in_two_sequences_at_once(tmp_path: Path) -> None:
    """Interleaved streams, the second of which takes the first's states as its input."""
    cell = nn.GRUCell(3, 3)
    optimizer = sgd(cell)
    with rnnlab.watch(cell, tmp_path / "run", optimizer=optimizer, every=1) as watch:
        below: Any = None
        above: Any = None
        hs: list[list[Tensor]] = [[], []]
        for x in torch.randn(6, 4, 3):
            below = cell(x, below)
            above = cell(below, above)
            for h, states in zip((below, above), hs, strict=True):
                h.retain_grad()
                states.append(h)
        above.sum().backward()
        optimizer.step()
    for layer, states in enumerate(hs):
        rows = watch.run.gradients.query(f"layer == {layer}")
        expected = [float(h.grad.norm()) for h in states if h.grad is not None]
        assert rows["lag"].tolist() == [5, 4, 3, 2, 1, 0]
        np.testing.assert_allclose(rows["norm"], expected, rtol=1e-6)


KILLED = """
import os, signal, sys, torch, rnnlab
model = torch.nn.GRU(2, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
watch = rnnlab.watch(model, sys.argv[1], optimizer=optimizer, every=1)
for update in range(9):
    model(torch.randn(5, 3, 2))[0].sum().backward()
    if update == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    optimizer.step()
"""


def test_a_killed_program_leaves_whole_rows(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "run")], check=False)
    assert ended.returncode == -signal.SIGKILL
    (run,) = rnnlab.load_runs(tmp_path)
    assert run.status != "completed"
    # The row of an update waits for what is logged after its step, until the next step.
    assert run.metrics["update"].tolist() == [0, 1, 2]
    assert run.gradients.groupby("update").size().tolist() == [5] * 5
