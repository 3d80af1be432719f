"""Every piece of an update on a CUDA device that is simulated: no tensor of the CPU meets one of the device.

The device runs the same operations, so that its files are those of the same scan on the CPU, to the bit. On a device
torch's fused layers are cuDNN's; here they are torch's own loops, which take and give the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from simulated_device import Counts, MixedDevicesError, on_device, simulated_device
from torch import nn
from trainings import EXPLODING, config, interrupted_after

import rnnlab
from rnnlab.cells import CELLS
from rnnlab.clips import CLIPS
from rnnlab.gradients.view import UpdateView
from rnnlab.network import objective
from rnnlab.network.objective import ReadOut
from rnnlab.optimizers import OPTIMIZERS
from rnnlab.probes import PROBES
from rnnlab.probes.adjoint import Adjoint
from rnnlab.probes.saturation import Saturation
from rnnlab.runs.run import Run
from rnnlab.sweeps.driver import train_sweep
from rnnlab.sweeps.engines import Inline
from rnnlab.sweeps.file import load_sweep
from rnnlab.sweeps.results import SweepOptions
from rnnlab.training.fleet import Fleet
from rnnlab.training.loop import train

THRESHOLDS: dict[str, Any] = {"none": {}, "norm": {"threshold": 0.1}, "value": {"threshold": 0.01}}
SHORT = {"batch": 4, "updates": 3, "evaluate_every": 2, "evaluate_size": 8}


def same(ours: Run, theirs: Run) -> None:
    """Equal readings, to the byte; an evaluation is cut into other pieces on the CPU, so its last digits may differ."""
    assert ours.status == theirs.status
    assert ours.dir.gradients.read_bytes() == theirs.dir.gradients.read_bytes()
    first, second = (run.metrics.drop(columns="seconds") for run in (ours, theirs))
    pd.testing.assert_frame_equal(first, second, rtol=1e-5)


def on_both(tmp_path: Path, scan: str = "general", **changes: Any) -> Run:
    """Train on the CPU and on the device by one scan; the second run, which is the same as the first."""
    changes["train"] = {**changes.get("train", SHORT), "scan": scan}
    on_cpu = train(config(**changes), out=tmp_path / "cpu")
    with simulated_device() as counts:
        on_cuda = train(config(**changes, device="cuda"), out=tmp_path / "cuda")
    assert on_cuda.info["device"].startswith("cuda")
    assert on_cuda.info["scan"] == scan
    assert counts.operations > 100
    same(on_cuda, on_cpu)
    return on_cuda


SCANS_OF_CELLS = [(cell, "general") for cell in CELLS] + [(cell, "fused") for cell in ("rnn", "lstm", "gru")]
every_scan = pytest.mark.parametrize("scan", ["general", "fused"])


@pytest.mark.long
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("cell", "scan"), SCANS_OF_CELLS)
def test_every_cell(cell: str, scan: str, layers: int, tmp_path: Path) -> None:
    on_both(tmp_path, scan, model={"cell": cell, "hidden": 3, "layers": layers}, probe={"which": list(PROBES)})


@pytest.mark.parametrize("clip", list(CLIPS))
def test_every_clip(clip: str, tmp_path: Path) -> None:
    for scan in ("general", *([] if clip == "adjoint" else ["fused"])):
        on_both(tmp_path / scan, scan, clip={"name": clip, **THRESHOLDS.get(clip, {"threshold": 0.01})})


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_every_optimizer(optimizer: str, tmp_path: Path) -> None:
    on_both(tmp_path, optimizer={"name": optimizer, "lr": 0.01})


@pytest.mark.parametrize("task", [{"name": "addition", "length": 12, "jitter": 0.5}, {"name": "copy", "length": 3}])
@every_scan
def test_sequences_of_several_lengths_and_a_loss_at_every_timestep(scan: str, task: Any, tmp_path: Path) -> None:
    on_both(tmp_path, scan, task=task)


@every_scan
def test_a_gradient_beyond_the_format_is_clipped_there(scan: str, tmp_path: Path) -> None:
    exploding = {**EXPLODING, "model": {**EXPLODING["model"], "nonlinearity": "tanh"}}
    run = on_both(tmp_path, scan, **exploding, clip={"name": "norm", "threshold": 1.0})
    assert run.gradients["log10_norm"].max() > 50


@every_scan
def test_a_run_that_is_interrupted_goes_on(scan: str, tmp_path: Path) -> None:
    lasting = {**SHORT, "scan": scan, "updates": 6, "checkpoint_seconds": 0}
    settings = config(device="cuda", name="run", train=lasting)
    with simulated_device():
        expected = train(settings, out=tmp_path / "whole")
        with interrupted_after(3), pytest.raises(KeyboardInterrupt, match="stop"):
            train(settings, out=tmp_path / "cut")
        same(train(settings, out=tmp_path / "cut", resume=True), expected)


def test_a_sweep_trains_its_fleets_there(tmp_path: Path) -> None:
    base = {"task": {"name": "addition", "length": 10}, "model": {"hidden": 3}, "train": SHORT}
    sweep = {"axes": {"grid": {"clip": ["none", "norm"]}}, "seeds": 2}
    with simulated_device():
        train_sweep(load_sweep({"base": {**base, "device": "cuda"}, **sweep}), Inline(), SweepOptions(tmp_path / "a"))
    general = {**base, "device": "cpu", "train": {**SHORT, "scan": "general"}}
    train_sweep(load_sweep({"base": general, **sweep}), Inline(), SweepOptions(tmp_path / "b"))
    runs = [sorted(rnnlab.load_runs(tmp_path / name), key=lambda run: run.name) for name in ("a", "b")]
    assert len(runs[0]) == 4
    for ours, theirs in zip(*runs, strict=True):
        same(ours, theirs)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_a_watched_model_is_there_and_is_read_as_on_the_cpu(kind: type[nn.RNNBase], tmp_path: Path) -> None:
    norms = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        with simulated_device():
            model = kind(2, 3, 2).to(device)
            optimizer = torch.optim.Adam(model.parameters())
            with rnnlab.watch(model, tmp_path / device, optimizer=optimizer, every=1) as watch:
                for _ in range(2):
                    optimizer.zero_grad()
                    model(torch.ones(7, 2, 2, device=device))[0].square().sum().backward()
                    optimizer.step()
            assert all(on_device(weight) == (device == "cuda") for weight in model.parameters())
        assert watch.run.metrics["verified"].tolist() == [1, 1]
        norms.append(watch.run.gradients["norm"])
    np.testing.assert_allclose(*norms, rtol=1e-6)


def waits_of(fleet: Fleet, counts: Counts, *, recorded: bool = False) -> int:
    """How often an update waits for the device."""
    before = counts.waits
    batch = fleet.compute_gradients()
    if recorded:
        view = UpdateView(0, fleet.network, batch.result, batch.sequences, fleet.objective)
        for probe in (Adjoint(), Saturation()):
            probe.rows(view)
            probe.measure(view)
    fleet.apply_gradients(batch)
    return counts.waits - before


@pytest.mark.long
@pytest.mark.parametrize(("cell", "scan"), SCANS_OF_CELLS)
def test_how_often_an_update_waits_for_the_device_does_not_grow(cell: str, scan: str) -> None:
    """Each wait leaves the device idle: 13 an update, 8 on the fused layers, whatever the number of timesteps.

    A recorded update adds some for its readings: on the fused layers for weights and sequences, brought to the CPU.
    """
    waits = []
    for length in (10, 40):
        with simulated_device() as counts:
            task, model = {"name": "addition", "length": length}, {"cell": cell}
            fleet = Fleet([config(device="cuda", task=task, model=model, train={"scan": scan})])
            fleet.update()
            waits.append([waits_of(fleet, counts), waits_of(fleet, counts, recorded=True)])
    assert waits[0] == waits[1]
    assert waits[0][0] <= {"general": 13, "fused": 8}[scan]
    assert waits[0][1] <= {"general": 25, "fused": 18}[scan]


@pytest.mark.parametrize("layers", [1, 2])
def test_an_update_on_the_fused_layers_waits_as_often_where_small_gradients_are_followed_up(layers: int) -> None:
    """For sequences of several lengths these are read, and of what may have grown from lost numbers the size."""
    with simulated_device() as counts:
        task = {"name": "addition", "length": 60, "jitter": 0.5}
        init = {"recurrent": {"name": "orthogonal", "gain": 0.05}}
        model = {"cell": "rnn", "layers": layers, "init": init}
        fleet = Fleet([config(device="cuda", task=task, model=model, train={"scan": "fused"})])
        fleet.update()
        assert waits_of(fleet, counts) <= 12


def test_a_tensor_on_the_wrong_device_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = objective.Objective.read_out

    def wrong(self: Any, lengths: torch.Tensor, T: int) -> ReadOut:
        return right(self, lengths.cpu(), T)

    monkeypatch.setattr(objective.Objective, "read_out", wrong)
    with simulated_device():
        fleet = Fleet([config(device="cuda")])
        with pytest.raises(MixedDevicesError, match="tensors on cuda:0 and cpu"):
            fleet.update()


def test_a_tensor_of_the_device_is_no_array() -> None:
    with simulated_device():
        there = torch.ones(3, device="cuda")
        assert (there + 1).device.type == "cuda"
        assert (there + 1).cpu().numpy().tolist() == [2.0, 2.0, 2.0]
        with pytest.raises(MixedDevicesError, match=r"use \.cpu\(\) first"):
            there.numpy()
        with pytest.raises(MixedDevicesError, match="tensors on cuda:0 and cpu"):
            there + torch.ones(3)
