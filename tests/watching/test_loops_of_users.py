"""Loops that people write: cells, truncated backpropagation, accumulation, checkpoints, mixed precision, odd ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import rnnlab
from rnnlab.errors import RunExistsError, UsageError

CELLS = {"tanh": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}
T = 12


class MyCell(nn.Module):
    """h_t = tanh(W [x, h]), with what it gives in a mapping."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(5, 3)

    def forward(self, x: Tensor, h: Tensor) -> dict[str, Tensor]:
        return {"state": self.inner(torch.cat([x, h], -1)).tanh()}


def sgd(*modules: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD([p for module in modules for p in module.parameters()], lr=0.01)


def norms_of(states: list[Tensor]) -> list[float]:
    return [float(state.grad.norm()) for state in states if state.grad is not None]


def unroll(cell: nn.Module, x: Tensor, cut: int | None = None) -> list[Any]:
    state, states = None, []
    for t, x_t in enumerate(x):
        state = cell(x_t, state)
        states.append(state)
        if t == cut:
            state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
    return states


def step_through(timestep: Callable[[Tensor, Tensor], Tensor], optimizer: torch.optim.SGD) -> list[Tensor]:
    """One update on the sum of the last state of a recurrence; all its states, with their gradients."""
    h, hs = torch.zeros(4, 3), []
    for x in torch.randn(T, 4, 2):
        h = timestep(x, h)
        h.retain_grad()
        hs.append(h)
    h.sum().backward()
    optimizer.step()
    return hs


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("cut", [None, 4])
def test_a_cell_that_is_called_once_a_timestep(kind: str, cut: int | None, tmp_path: Path) -> None:
    cell = CELLS[kind](2, 3)
    optimizer = sgd(cell)
    with rnnlab.watch(cell, tmp_path / "run", optimizer=optimizer, every=1) as watch:
        states = unroll(cell, torch.randn(T, 4, 2), cut)
        hs = [state[0] if kind == "lstm" else state for state in states]
        for h in hs:
            h.retain_grad()
        hs[-1].sum().backward()
        optimizer.step()
    rows = watch.run.gradients.query("state == 'h'")
    reached = range(T) if cut is None else range(cut + 1, T)
    assert rows["t"].tolist() == list(reached)
    assert rows["lag"].tolist() == [T - 1 - t for t in reached]
    np.testing.assert_allclose(rows["norm"], norms_of(hs), rtol=1e-6)
    states_of_cell = 2 if kind == "lstm" else 1
    assert watch.run.metrics["cut"].tolist() == [0 if cut is None else states_of_cell * (cut + 1)]


def test_a_cell_of_ones_own(tmp_path: Path) -> None:
    cell = MyCell()
    optimizer = sgd(cell)
    options: dict[str, Any] = {"cells": [MyCell], "states": lambda output: {"h": output["state"]}}
    with rnnlab.watch(cell, tmp_path / "run", optimizer=optimizer, every=1, **options) as watch:
        hs = step_through(lambda x, h: cell(x, h * 0.9)["state"], optimizer)
    np.testing.assert_allclose(watch.run.gradients["norm"], norms_of(hs), rtol=1e-6)


def test_states_that_a_loop_names(tmp_path: Path) -> None:
    layer = nn.Linear(5, 3)
    optimizer = sgd(layer)
    with rnnlab.watch(layer, tmp_path / "run", optimizer=optimizer, every=1, cells=[]) as watch:

        def timestep(x: Tensor, h: Tensor) -> Tensor:
            state: Tensor = layer(torch.cat([x, h], -1)).tanh()
            watch.state("h", state)
            return state

        hs = step_through(timestep, optimizer)
    np.testing.assert_allclose(watch.run.gradients["norm"], norms_of(hs), rtol=1e-6)


def test_two_sequences_of_one_cell_are_two_series(tmp_path: Path) -> None:
    cell = nn.GRUCell(2, 3)
    optimizer = sgd(cell)
    with rnnlab.watch(cell, tmp_path / "run", optimizer=optimizer, every=1) as watch:
        loss = sum(unroll(cell, torch.randn(length, 4, 2))[-1].sum() for length in (5, 7))
        loss.backward()
        optimizer.step()
    assert watch.run.gradients.groupby("layer").size().tolist() == [5, 7]
    assert [of_layer["call"] for of_layer in watch.run.info["layers"]] == [0, 1]


def test_windows_of_truncated_backpropagation_carry_their_offset(tmp_path: Path) -> None:
    model = nn.LSTM(2, 3)
    optimizer = sgd(model)
    with rnnlab.watch(model, tmp_path / "run", optimizer=optimizer, every=[0, 2]) as watch:
        states: Any = None
        for _ in range(3):
            output, states = model(torch.randn(T, 4, 2), states)
            output.sum().backward()
            optimizer.step()
            with torch.no_grad():
                model(torch.randn(5, 4, 2))
            states = tuple(state.detach() for state in states)
    assert watch.run.metrics["offset"].tolist() == [0, 2 * T]
    assert watch.run.metrics["verified"].tolist() == [1, 1]


def test_backward_passes_of_one_update_are_told_apart(tmp_path: Path) -> None:
    model = nn.GRU(2, 3)
    optimizer = sgd(model)
    with rnnlab.watch(model, tmp_path / "run", optimizer=optimizer, every=1) as watch:
        for length in (5, 8):
            model(torch.randn(length, 4, 2))[1].sum().backward()
        optimizer.step()
    assert watch.run.metrics[["backwards", "verified"]].to_numpy().tolist() == [[2, 1]]
    assert [(of["call"], of["backward"]) for of in watch.run.info["layers"]] == [(0, 0), (1, 1)]
    assert watch.run.gradients.groupby("layer").size().tolist() == [5, 8]


def test_a_shared_module_is_checked_over_both_of_its_calls(tmp_path: Path) -> None:
    model = nn.LSTM(2, 3)
    optimizer = sgd(model)
    with rnnlab.watch(model, tmp_path / "run", optimizer=optimizer, every=1) as watch:
        (model(torch.randn(5, 4, 2))[0].sum() + model(torch.randn(6, 4, 2))[0].square().sum()).backward()
        optimizer.step()
    assert watch.run.metrics["verified"].tolist() == [1]
    assert watch.run.gradients.groupby(["layer", "state"]).size().tolist() == [5, 5, 6, 6]


class Pair(nn.Module):
    """Two recurrent modules."""

    def __init__(self) -> None:
        super().__init__()
        self.below, self.above = nn.GRU(2, 3), nn.LSTM(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        last: Tensor = self.above(self.below(x)[0].relu())[1][1]
        return last


@pytest.mark.parametrize("reentrant", [False, True])
def test_recomputed_activations(reentrant: bool, tmp_path: Path) -> None:
    model = Pair()
    optimizer = sgd(model)
    with rnnlab.watch(model, tmp_path / "run", optimizer=optimizer, every=1) as watch:
        x = torch.randn(6, 4, 2, requires_grad=True)
        checkpoint(model, x, use_reentrant=reentrant).sum().backward()
        optimizer.step()
    assert watch.run.metrics["verified"].tolist() == [1]
    assert {of["module"] for of in watch.run.info["layers"]} == {"below", "above"}
    assert watch.run.gradients.groupby("layer").size().to_dict() == {0: 6, 1: 12}


def test_evaluation_and_frozen_layers_are_not_recorded(tmp_path: Path) -> None:
    model = Pair()
    model.below.requires_grad_(False)
    optimizer = sgd(model.above)
    with rnnlab.watch(model, tmp_path / "run", optimizer=optimizer, every=1) as watch:
        with torch.no_grad():
            model(torch.randn(9, 4, 2))
        model(torch.randn(6, 4, 2)).sum().backward()
        optimizer.step()
    assert set(watch.run.gradients["layer"]) == {1}
    assert len(watch.run.gradients) == 12


def test_the_factor_of_mixed_precision_is_divided_out(tmp_path: Path) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    torch.manual_seed(0)
    model = nn.LSTM(2, 3)
    optimizer = sgd(model)
    x = torch.randn(6, 4, 2)
    with rnnlab.watch(model, tmp_path / "run", optimizer=optimizer, every=1, scaler=scaler) as watch:
        scaler.scale(model(x)[0].sum()).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
    torch.manual_seed(0)
    plain = nn.LSTM(2, 3)
    with rnnlab.watch(plain, tmp_path / "plain", optimizer=(other := sgd(plain)), every=1) as alone:
        plain(x)[0].sum().backward()
        other.step()
    np.testing.assert_allclose(watch.run.gradients["log10_norm"], alone.run.gradients["log10_norm"], atol=1e-6)
    metrics = watch.run.metrics
    np.testing.assert_allclose(metrics["grad_norm"], metrics["grad_norm_clipped"], rtol=1e-6)
    assert metrics["verified"].tolist() == [1]


def test_bfloat16_is_recorded_and_not_verified(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = nn.GRU(4, 8)
    optimizer = sgd(model)
    with rnnlab.watch(model, tmp_path / "run", optimizer=optimizer, every=1) as watch:
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(torch.randn(20, 4, 4))[0].square().sum()
        loss.backward()
        optimizer.step()
    assert len(watch.run.gradients) == 20
    if watch.run.metrics["deviation"].item() > 1e-3:
        assert "1 of 1 records are not verified" in caplog.text


def penalty(model: nn.GRU) -> None:
    x = torch.randn(5, 4, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(x)[0].sum(), x, create_graph=True)
    gradient.square().sum().backward()


def changed_input(model: nn.GRU) -> None:
    x = torch.randn(5, 4, 2)
    output = model(x)[0]
    x.add_(1)
    output.detach().requires_grad_()
    output.sum().backward()


def failing(model: nn.GRU) -> None:
    raise ValueError("the user's own")


@pytest.mark.parametrize("program", [penalty])
def test_what_is_not_supported_ends_the_recording_and_not_the_loop(
    program: Callable[[nn.GRU], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = nn.GRU(2, 3)
    optimizer = sgd(model)
    with rnnlab.watch(model, tmp_path / "run", optimizer=optimizer, every=1) as watch:
        model(torch.randn(5, 4, 2))[0].sum().backward()
        optimizer.step()
        for _ in range(2):
            program(model)
            optimizer.step()
    assert (watch.run.status, len(watch.run.gradients)) == ("failed", 5)
    said = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1
    assert "create_graph" in said[0]


def test_an_error_of_the_users_own_is_his(tmp_path: Path) -> None:
    model = nn.GRU(2, 3)
    with (
        pytest.raises(ValueError, match=r"^the user's own$"),
        rnnlab.watch(model, tmp_path / "run", optimizer=sgd(model)) as watch,
    ):
        failing(model)
    assert (watch.run.status, watch.run.info["reason"]) == ("interrupted", "ValueError: the user's own")


def test_nothing_is_taken_that_cannot_be_watched(tmp_path: Path) -> None:
    model = nn.GRU(2, 3)
    good = sgd(model)
    attempts: list[tuple[Callable[[], object], str]] = [
        (lambda: rnnlab.watch(nn.Linear(2, 3), tmp_path / "a", optimizer=good), r"cells=\[MyCell\]"),
        (lambda: rnnlab.watch(nn.LSTM(2, 3, proj_size=2), tmp_path / "a", optimizer=good), "proj_size"),
        (lambda: rnnlab.watch(nn.DataParallel(model), tmp_path / "a", optimizer=good), "DistributedDataParallel"),
        (lambda: rnnlab.watch(model, tmp_path / "a", optimizer=good, every=0), "every=0"),
        (lambda: rnnlab.watch(model, tmp_path / "a", optimizer=model), "optimizer must be"),  # type: ignore[arg-type]
        (lambda: rnnlab.watch(3, tmp_path / "a", optimizer=good), "torch.nn.Module"),  # type: ignore[arg-type]
        (lambda: rnnlab.watch(model, tmp_path / "a", optimizer=good, settings={"a": 1, "a.b": 2}), "a.b is inside a"),
    ]
    for what, match in attempts:
        with pytest.raises(UsageError, match=match):
            what()
        assert not (tmp_path / "a").exists()
        assert not any(module._forward_hooks for module in model.modules())
    rnnlab.watch(model, tmp_path / "a", optimizer=good).close()
    with pytest.raises(RunExistsError, match="is there already"):
        rnnlab.watch(model, tmp_path / "a", optimizer=good)
    rnnlab.watch(model, tmp_path / "a", optimizer=good, force=True).close()
