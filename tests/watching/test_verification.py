"""What a record is held to where the gradient of W_hh is more than a sum over timesteps, and whose hooks come first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import rnnlab
from rnnlab.watching.layer_replay import LayerReplay

T, B, I, H = 9, 3, 2, 4


def penalty(module: nn.GRU) -> Tensor:
    return module.all_weights[0][1].square().sum() * 10


def clamped(module: nn.GRU) -> Tensor:
    module.all_weights[0][1].register_hook(lambda gradient: gradient.clamp(-1e-6, 1e-6))
    return torch.zeros(())


def frozen(module: nn.GRU) -> Tensor:
    module.all_weights[0][1].requires_grad_(False)
    return torch.zeros(())


def trained(module: nn.GRU, more: Callable[[nn.GRU], Tensor], folder: Path) -> Any:
    """Three updates whose loss is that of the states and something more."""
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    with rnnlab.watch(module, folder / "run", optimizer=optimizer, every=1) as watch:
        added = more(module)
        for _ in range(3):
            optimizer.zero_grad()
            (module(torch.randn(T, B, I))[0].square().sum() + added).backward(retain_graph=True)
            optimizer.step()
            added = more(module) if more is penalty else added
    return watch.run


@pytest.mark.parametrize("more", [penalty, clamped, frozen])
def test_a_gradient_of_the_weights_that_is_not_the_calls_alone_is_no_fault(more: Any, tmp_path: Path) -> None:
    run = trained(nn.GRU(I, H), more, tmp_path)
    assert run.metrics["verified"].tolist() == [1, 1, 1]
    assert run.metrics["deviation"].max() < 1e-5


@pytest.mark.parametrize("more", [penalty, clamped, frozen])
def test_a_wrong_reading_is_found_all_the_same(more: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = LayerReplay.backward

    def wrong(self: Any, total: Any, direct: Any, *rest: Any, **options: Any) -> Any:
        doubled = total._replace(scaled=total.scaled._replace(mantissa=2 * total.scaled.mantissa))
        return right(self, doubled, doubled, *rest, **options)

    monkeypatch.setattr(LayerReplay, "backward", wrong)
    assert trained(nn.GRU(I, H), more, tmp_path).metrics["verified"].tolist() == [0, 0, 0]


def test_a_weight_that_is_computed_anew_for_each_call(tmp_path: Path) -> None:
    """DropConnect (Wan et al. 2013): W_hh has units dropped, others at every call."""
    module, raw = nn.LSTM(I, H), nn.Parameter(torch.randn(4 * H, H) / 4)
    del module.weight_hh_l0
    module.weight_hh_l0 = raw.detach()
    optimizer = torch.optim.SGD([raw, *module.parameters()], lr=0.1)
    with rnnlab.watch(module, tmp_path / "run", optimizer=optimizer, every=1) as watch:
        for _ in range(2):
            optimizer.zero_grad()
            loss = torch.zeros(())
            for _ in range(2):
                module.weight_hh_l0 = nn.functional.dropout(raw, 0.5)
                module._flat_weights = [getattr(module, name) for name in module._flat_weights_names]
                loss = loss + module(torch.randn(T, B, I))[0].square().sum()
            loss.backward()
            optimizer.step()
    assert watch.run.metrics["verified"].tolist() == [1, 1]
    assert {of["call"] for of in watch.run.info["layers"]} == {0, 1}


@pytest.mark.parametrize("first", [False, True])
def test_the_modules_own_states_are_read_whatever_the_users_hooks_make_of_them(first: bool, tmp_path: Path) -> None:
    module = nn.RNN(I, H)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)

    def tripled(_: nn.Module, __: Any, given: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return 3 * given[0], given[1]

    if first:
        module.register_forward_hook(tripled)
    with rnnlab.watch(module, tmp_path / "run", optimizer=optimizer, every=1) as watch:
        if not first:
            module.register_forward_hook(tripled)
        x = torch.randn(T, B, I)
        module(x)[0][-1].sum().backward()
        optimizer.step()
    # At the last timestep of the module's own output, before it is tripled, each of B x H entries has the gradient 3.
    norms = watch.run.gradients.sort_values("t")["norm"]
    np.testing.assert_allclose(norms.iloc[-1], 3 * (B * H) ** 0.5, rtol=1e-6)
    assert watch.run.metrics["verified"].tolist() == [1]
