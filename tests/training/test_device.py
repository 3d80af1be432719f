"""Where a training runs, and what is refused there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from trainings import config

from rnnlab.cells import CELLS
from rnnlab.errors import DeviceMissingError, UsageError
from rnnlab.training.checkpoints import parameters_of
from rnnlab.training.device import choose_scan
from rnnlab.training.loop import train


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(DeviceMissingError, match="no CUDA device"):
        train(config(device="cuda"), out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_fast_scan_is_refused_where_it_cannot_run() -> None:
    with pytest.raises(UsageError, match="no rule"):
        choose_scan("fast", False, torch.device("cpu"))
    with pytest.raises(UsageError, match="not on cuda"):
        choose_scan("fast", True, torch.device("cuda"))
    assert choose_scan("auto", True, torch.device("cuda")) == "general"


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
