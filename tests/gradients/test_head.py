"""The head: read-out, loss and their gradients in closed form, against autograd through `Objective.losses`."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from oracles import F64, make_network
from torch import Tensor

from rnnlab.cells import CELLS
from rnnlab.gradients.head import head
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective, ReadOut

F32 = torch.float32
LAST = Objective("class", "last", per_timestep=False)
Case = tuple[Network, ReadOut, Tensor, Tensor]


def case(objective: Objective, R: int = 1, ragged: bool = False, dtype: torch.dtype = F64) -> Case:
    """A network with 3 outputs, states at the read-out timesteps, and targets."""
    g, T, B = torch.Generator().manual_seed(1), 6, 4
    network = make_network(CELLS["rnn"](), R=R, outputs=3, dtype=dtype)
    lengths = torch.randint(3, T + 1, (R, B), generator=g) if ragged else torch.full((R, B), T)
    read_out = objective.read_out(lengths, T)
    shape = (R, T, B) if objective.per_timestep else (R, B)
    y: Any = torch.randint(0, 3, shape, generator=g)
    if objective.kind == "value":
        y = torch.randn(*shape, 3, generator=g, dtype=dtype)
    states = torch.randn(R, T, B, 5, generator=g, dtype=dtype)
    return network, read_out, read_out.gather(states), objective.targets(y, read_out)


@pytest.mark.parametrize("ragged", [False, True], ids=["even", "ragged"])
@pytest.mark.parametrize("R", [1, 4])
@pytest.mark.parametrize("per_timestep", [False, True], ids=["one-target", "per-timestep"])
@pytest.mark.parametrize("placement", ["last", "all", 2, -2])
@pytest.mark.parametrize("kind", ["class", "value"])
def test_equals_autograd(kind: Any, placement: Any, per_timestep: bool, R: int, ragged: bool) -> None:
    objective = Objective(kind, placement, per_timestep)
    network, read_out, read, targets = case(objective, R, ragged)
    leaves = {name: w.clone().requires_grad_() for name, w in network.parameters.items() if name.startswith("readout")}
    states = read.clone().requires_grad_()
    outputs = Network(network.cell, network.shape, leaves).read_out(states)
    losses = objective.losses(outputs, targets, read_out)
    direct, W, b = torch.autograd.grad(losses.sum(), [states, *leaves.values()])
    found = head(network, objective, read_out, read, targets)
    close = {"rtol": 1e-12, "atol": 1e-13}
    torch.testing.assert_close(found.losses, losses.detach(), **close)
    torch.testing.assert_close(found.outputs, outputs.detach(), **close)
    torch.testing.assert_close(found.direct, direct, **close)
    torch.testing.assert_close(found.gradients["readout.W"].plain(), W, **close)
    torch.testing.assert_close(found.gradients["readout.b"].plain(), b, **close)
    assert (found.direct[read_out.timesteps < 0] == 0).all()


@pytest.mark.parametrize("dtype", [F32, F64])
def test_what_is_near_one_has_no_exponent_and_the_dtype_of_the_network(dtype: torch.dtype) -> None:
    network, read_out, read, targets = case(LAST, R=3, dtype=dtype)
    found = head(network, LAST, read_out, read, targets)
    assert found.losses.dtype == found.outputs.dtype == found.direct.dtype == F64
    for gradient in found.gradients.values():
        assert gradient.mantissa.dtype == dtype
        assert gradient.exponent.tolist() == [0, 0, 0]


@pytest.mark.parametrize("lead", [60.0, 200.0, 500.0])
def test_a_confident_replica_keeps_the_range_of_its_gradient(lead: float) -> None:
    """float32, where the gradient is e^-lead; the replica beside it stays as it is alone."""
    network, read_out, read, _ = case(LAST, R=2, dtype=F32)
    network.parameters["readout.W"] *= torch.tensor([0.0, 1.0])[:, None, None]
    network.parameters["readout.b"] = torch.tensor([[lead, 0.0, 0.0], [0.1, 0.2, 0.3]])
    found = head(network, LAST, read_out, read, torch.zeros(2, 1, 4, dtype=torch.int64))
    b = found.gradients["readout.b"]
    log10 = b.mantissa.double().abs().log10() + b.exponent[:, None].double() * math.log10(2)
    expected = -lead / math.log(10) + torch.tensor([math.log10(2), 0, 0], dtype=F64)
    torch.testing.assert_close(log10[0], expected, rtol=0, atol=1e-6)
    W = found.gradients["readout.W"]
    exact = torch.einsum("bh,bo->ho", read[0, 0].double(), torch.tensor([[-2.0, 1.0, 1.0]] * 4, dtype=F64)) / 4
    size = W.mantissa[0].double() * 2.0 ** (W.exponent[0].double() + lead / math.log(2))
    torch.testing.assert_close(size, exact, rtol=1e-5, atol=1e-6)
    assert b.exponent[1] == W.exponent[1] == 0
    alone = Network(network.cell, network.shape, {name: w[1:] for name, w in network.parameters.items()})
    one = ReadOut(read_out.timesteps[1:], read_out.slots[1:])
    single = head(alone, LAST, one, read[1:], torch.zeros(1, 1, 4, dtype=torch.int64))
    assert torch.equal(single.gradients["readout.b"].plain()[0], b.plain()[1])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("kind", ["class", "value"])
def test_a_broken_replica_is_not_finite_and_leaves_the_others(kind: Any, bad: float) -> None:
    objective = Objective(kind, "all", per_timestep=False)
    network, read_out, read, targets = case(objective, R=3, ragged=True)
    clean = head(network, objective, read_out, read, targets)
    read[1, 0, 0] = bad
    broken = head(network, objective, read_out, read, targets)
    assert not broken.losses[1].isfinite()
    assert not broken.gradients["readout.W"].plain()[1].isfinite().all()
    assert torch.equal(clean.losses[[0, 2]], broken.losses[[0, 2]])
    assert torch.equal(clean.direct[[0, 2]], broken.direct[[0, 2]])


def test_autograd_records_nothing() -> None:
    network, read_out, read, targets = case(LAST)
    network.parameters["readout.W"].requires_grad_()
    found = head(network, LAST, read_out, read, targets)
    assert not any(one.requires_grad for one in (found.losses, found.outputs, found.direct))
