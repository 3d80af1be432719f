"""Where a training runs, and what is refused there."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trainings import config

from rnnlab.cells import CELLS
from rnnlab.config import Config
from rnnlab.errors import DeviceMissingError, UsageError
from rnnlab.runs.folder import RunFolder
from rnnlab.training.checkpoints import parameters_of, scan_to_resume
from rnnlab.training.device import choose_scan, float32_products
from rnnlab.training.loop import train


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(DeviceMissingError, match="no CUDA device"):
        train(config(device="cuda"), out=tmp_path)
    assert not list(tmp_path.iterdir())


CPU, CUDA = torch.device("cpu"), torch.device("cuda")
NO_RULE, NOT_IN_TORCH = {"cell": "mgu"}, {"cell": "rnn", "nonlinearity": "sigmoid"}
ADJOINT = {"name": "adjoint", "threshold": 0.1}


def unchecked(**changes: Any) -> Config:
    """What `validate` would refuse, and a fleet that is made in Python meets."""
    given = config(**{key: value for key, value in changes.items() if key != "train"})
    return given.model_copy(update={"train": given.train.model_copy(update=changes.get("train", {}))})


@pytest.mark.parametrize(
    ("changes", "device", "replicas", "message"),
    [
        ({"train": {"scan": "fast"}, "model": NO_RULE}, CPU, 1, "fast cannot be used here: this cell has no rule"),
        ({"train": {"scan": "fast"}}, CUDA, 1, "it runs on the CPU, not on cuda"),
        ({"train": {"scan": "fused"}, "model": NOT_IN_TORCH}, CPU, 1, "torch has no fused layer of this cell"),
        (
            {"train": {"scan": "fused"}, "clip": ADJOINT},
            CUDA,
            1,
            "the adjoint clip acts inside the loop .*, which is torch's",
        ),
        ({"train": {"scan": "fused"}}, CUDA, 3, "it is for one run, not for a fleet of 3"),
    ],
)
def test_a_scan_is_refused_where_it_cannot_run(
    changes: dict[str, Any], device: torch.device, replicas: int, message: str
) -> None:
    with pytest.raises(UsageError, match=rf"train\.scan: .*{message}.*; use auto or general"):
        choose_scan(unchecked(**changes), device, replicas)


@pytest.fixture
def _without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.scan.cuda.limits.triton_version", lambda: None)


@pytest.fixture
def _with_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.scan.cuda.limits.triton_version", lambda: (3, 7))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))


@pytest.mark.usefixtures("_with_triton")
@pytest.mark.parametrize(
    ("changes", "replicas", "scan"),
    [
        ({}, 1, "fused"),
        ({}, 2, "triton"),
        ({"train": {"scan": "triton"}}, 1, "triton"),
        ({"clip": ADJOINT}, 1, "triton"),
        ({"model": NOT_IN_TORCH}, 1, "triton"),
        ({"model": NO_RULE}, 2, "general"),
        ({"dtype": "float64"}, 2, "general"),
        ({"model": {"hidden": 3000}}, 2, "general"),
    ],
)
def test_fleets_take_triton_where_it_can_run(changes: dict[str, Any], replicas: int, scan: str) -> None:
    assert choose_scan(unchecked(**changes), CUDA, replicas) == scan


@pytest.mark.usefixtures("_without_triton")
def test_triton_is_refused_where_it_is_not_installed() -> None:
    with pytest.raises(UsageError, match=r"triton cannot be used here: it needs Triton 3.7, which is not installed \("):
        choose_scan(unchecked(train={"scan": "triton"}), CUDA, 2)
    with pytest.raises(UsageError, match="it runs on CUDA, not on cpu"):
        choose_scan(unchecked(train={"scan": "triton"}), CPU, 2)


@pytest.mark.usefixtures("_without_triton")
@pytest.mark.parametrize(
    ("changes", "device", "replicas", "scan"),
    [
        ({}, CPU, 1, "fast"),
        ({}, CPU, 9, "fast"),
        ({"model": NO_RULE}, CPU, 1, "general"),
        ({"train": {"scan": "general"}}, CPU, 1, "general"),
        ({"train": {"scan": "fused"}}, CPU, 1, "fused"),
        ({}, CUDA, 1, "fused"),
        ({}, CUDA, 2, "general"),
        ({"model": NO_RULE}, CUDA, 1, "general"),
        ({"model": NOT_IN_TORCH}, CUDA, 1, "general"),
        ({"clip": ADJOINT}, CUDA, 1, "general"),
        ({"train": {"scan": "general"}}, CUDA, 1, "general"),
    ],
)
def test_auto_takes_the_fastest_scan_that_can_run(
    changes: dict[str, Any], device: torch.device, replicas: int, scan: str
) -> None:
    assert choose_scan(config(**changes), device, replicas) == scan


# TF32


def precisions() -> list[object]:
    """What torch does with float32 products, asked in the words of the installed version."""
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    if hasattr(cuda, "fp32_precision"):
        return [cuda.fp32_precision, cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision]  # type: ignore[attr-defined]
    return [cuda.allow_tf32, cudnn.allow_tf32]


@pytest.mark.parametrize("tf32", [False, True])
def test_tf32_is_what_was_asked_for_and_then_what_it_was(tf32: bool) -> None:
    before = precisions()
    with contextlib.suppress(KeyError), float32_products(tf32=tf32):
        within = precisions()
        raise KeyError
    assert set(within) <= ({"tf32", True} if tf32 else {"ieee", False})
    assert precisions() == before


def test_tf32_holds_for_a_training_and_no_longer(tmp_path: Path) -> None:
    before, seen = precisions(), list[object]()
    run = train(config(), out=tmp_path, observe=lambda progress: seen.extend(precisions()))
    assert seen
    assert set(seen) <= {"ieee", False}
    assert precisions() == before
    assert run.info["tf32"] is False


def test_tf32_on_a_cpu_is_refused_and_not_ignored(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"train\.tf32: products in TF32 are made on CUDA devices, not on cpu"):
        train(unchecked(train={"tf32": True}), out=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("cell", list(CELLS))
def test_cuda_gives_the_cpus_readings(cell: str, tmp_path: Path) -> None:
    on_cpu, on_cuda = (
        train(config(model={"cell": cell}, device=d, dtype="float64"), out=tmp_path / d) for d in ("cpu", "cuda")
    )
    for name, array in parameters_of(on_cpu).items():
        np.testing.assert_allclose(parameters_of(on_cuda)[name], array, atol=1e-8)
    np.testing.assert_allclose(on_cuda.gradients["log10_norm"], on_cpu.gradients["log10_norm"], atol=1e-6)


@pytest.mark.parametrize(
    ("recorded", "device", "expected"),
    [("general", "cpu", "general"), ("triton", "cpu", None), ("fast", "cpu", None), ("fused", "cpu", None)],
)
def test_a_run_goes_on_with_the_scan_of_its_fleet_where_that_can_run(
    recorded: str, device: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunFolder, "read_run", lambda folder: {"scan": recorded})
    assert scan_to_resume(RunFolder(Path("run")), config(device=device)) == expected
