"""Watched modules that torch.compile took: recorded where their calls can be seen, refused or told about elsewhere."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import rnnlab
from rnnlab.errors import UsageError


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Dynamo asks tensors that are no leaves for .grad, at which torch warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf Tensor")
        yield
    torch.compiler.reset()


class Labeled(nn.Module):
    """A recurrent module and a read-out."""

    def __init__(self, recurrent: Any) -> None:
        super().__init__()
        self.recurrent: Any = recurrent
        self.readout: Any = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Any:
        if isinstance(getattr(self.recurrent, "_orig_mod", self.recurrent), nn.RNNBase):
            output, _ = self.recurrent(x)
            return self.readout(output)
        state = x.new_zeros(x.shape[1], 3)
        for row in x:
            state = self.recurrent(row, state)
        return self.readout(state)


def trained(model: nn.Module, path: Path | None) -> tuple[list[Tensor], Any]:
    """The weights after three updates, and the run where one was recorded."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch = None if path is None else rnnlab.watch(model, path, optimizer=optimizer, every=1)
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(5, 4, 2, generator=generator)).square().sum().backward()
        optimizer.step()
    if watch is not None:
        watch.close()
    return [p.detach().clone() for p in model.parameters()], watch and watch.run


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("kind", [nn.GRUCell, nn.LSTM])
def test_a_module_that_is_compiled_alone_is_recorded_as_the_plain_one_is(
    kind: type[nn.Module], backend: str, tmp_path: Path
) -> None:
    runs, weights = [], []
    for compiles, name in ((False, "plain"), (True, None), (True, "compiled")):
        torch.manual_seed(0)
        model = Labeled(kind(2, 3))
        if compiles:
            model.recurrent = torch.compile(model.recurrent, backend=backend)
        end, run = trained(model, None if name is None else tmp_path / name)
        weights.append(end)
        runs.append(run)
    plain, _, compiled = runs
    assert compiled.info["layers"] == plain.info["layers"]
    assert len(compiled.gradients) == len(plain.gradients) > 0
    np.testing.assert_allclose(compiled.gradients["norm"], plain.gradients["norm"], rtol=1e-5)
    assert compiled.info["watch"]["not_verified"] == 0
    assert all(torch.equal(watched, alone) for watched, alone in zip(weights[2], weights[1], strict=True))


@pytest.mark.parametrize("whole", ["wrapped", "in place", "recurrent in place"])
def test_a_model_that_is_compiled_whole_is_refused(whole: str, tmp_path: Path) -> None:
    model: Any = Labeled(nn.GRUCell(2, 3))
    if whole == "wrapped":
        model = torch.compile(model, backend="eager")
    else:
        (model if whole == "in place" else model.recurrent).compile(backend="eager")
    with pytest.raises(UsageError, match=r"^recurrent: .*module = torch\.compile\(module\)"):
        trained(model, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_model_that_is_compiled_later_trains_as_it_would_and_its_run_says_what_to_do(tmp_path: Path) -> None:
    weights = []
    for watches in (False, True):
        torch.manual_seed(0)
        model = Labeled(nn.GRUCell(2, 3))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        watch = rnnlab.watch(model, tmp_path / "run", optimizer=optimizer, every=1) if watches else None
        compiled: Any = torch.compile(model, backend="aot_eager", fullgraph=True)
        compiled(torch.ones(5, 4, 2)).sum().backward()
        optimizer.step()
        weights.append([p.detach().clone() for p in model.parameters()])
    assert watch is not None
    watch.close()
    assert watch.run.gradients.empty
    assert "module = torch.compile(module)" in watch.run.info["reason"]
    assert all(torch.equal(watched, alone) for watched, alone in zip(*weights, strict=True))
