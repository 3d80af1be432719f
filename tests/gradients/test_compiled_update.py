"""The compiled pieces of an update against the ones in torch: the head, and a gradient in rows under every clip."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from oracles import F64, make_batch, make_network
from scans import run
from torch import Tensor

from rnnlab.cells import CELLS
from rnnlab.clips import CLIPS
from rnnlab.gradients.head import head
from rnnlab.gradients.passes import CompiledPass
from rnnlab.network.flat import Gradient
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective
from rnnlab.scan.scaled import Scaled

F32 = torch.float32
# Half a unit in the last place of what is written down; sums over the batch are in float64 either way.
CLOSE = {F32: {"rtol": 1.2e-7, "atol": 0.0}, F64: {"rtol": 1e-12, "atol": 1e-15}}
LAST = Objective("class", "last", per_timestep=False)


def compiled(network: Network, batch: Any, objective: Objective) -> CompiledPass:
    found = run("fast", network, batch, objective)
    assert isinstance(found, CompiledPass)
    return found


def rows_of(found: CompiledPass) -> Scaled:
    return Scaled(torch.from_numpy(found.upstream.rows), torch.from_numpy(found.upstream.exponents))


def same_head(found: CompiledPass, network: Network, objective: Objective, dtype: torch.dtype) -> None:
    """What the compiled head wrote is what `head` gives of the same states."""
    read = found.read_out.gather(found.traces[-1].hs, shift=1)
    expected = head(network, objective, found.read_out, read, found.targets)
    torch.testing.assert_close(found.losses, expected.losses, rtol=1e-12, atol=1e-15, equal_nan=True)
    torch.testing.assert_close(found.outputs, expected.outputs, rtol=1e-12, atol=1e-14, equal_nan=True)
    direct = Scaled.near(expected.direct, dtype)
    assert torch.equal(rows_of(found).exponent, direct.exponent)
    torch.testing.assert_close(rows_of(found).mantissa, direct.mantissa, **CLOSE[dtype], equal_nan=True)
    for name, gradient in expected.gradients.items():
        # A subnormal float64 is scaled up by less here.
        by = found.gradients[name].exponent - gradient.exponent
        assert (by[gradient.exponent > -1022] == 0).all()
        ours = torch.ldexp(found.gradients[name].mantissa, by.view(-1, *[1] * (gradient.mantissa.dim() - 1)))
        close = {"rtol": 3e-7, "atol": 1e-9} if dtype == F32 else {"rtol": 1e-11, "atol": 1e-14}
        torch.testing.assert_close(ours, gradient.mantissa, **close, equal_nan=True)


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("ragged", [False, True], ids=["even", "ragged"])
@pytest.mark.parametrize("R", [1, 4])
@pytest.mark.parametrize("per_timestep", [False, True], ids=["one-target", "per-timestep"])
@pytest.mark.parametrize("placement", ["last", "all", 2, -2])
@pytest.mark.parametrize("kind", ["class", "value"])
def test_the_compiled_head_is_the_head(
    kind: Any, placement: Any, per_timestep: bool, R: int, ragged: bool, dtype: torch.dtype
) -> None:
    objective = Objective(kind, placement, per_timestep)
    network = make_network(CELLS["rnn"](), R=R, outputs=3, dtype=dtype)
    batch = make_batch(objective, R=R, outputs=3, ragged=ragged, dtype=dtype)
    same_head(compiled(network, batch, objective), network, objective, dtype)


@pytest.mark.parametrize("lead", [30.0, 200.0, 650.0, 720.0, 5000.0])
def test_it_keeps_the_range_of_a_confident_replica(lead: float) -> None:
    """The exponential of the compiled head ends at -708; what lies below is torch's, down to exact zero."""
    network, batch = make_network(CELLS["rnn"](), R=2, outputs=3, dtype=F32), make_batch(LAST, R=2, dtype=F32)
    network.parameters["readout.W"] *= torch.tensor([0.0, 1.0])[:, None, None]
    network.parameters["readout.b"] = torch.tensor([[lead, 0.0, 0.0], [0.1, 0.2, 0.3]])
    batch.y.zero_()
    same_head(compiled(network, batch, LAST), network, LAST, F32)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("kind", ["class", "value"])
def test_what_is_not_finite_stays_so_and_in_its_replica(kind: Any, bad: float) -> None:
    objective = Objective(kind, "last", per_timestep=False)
    network, batch = make_network(CELLS["rnn"](), R=3), make_batch(objective, R=3)
    clean = compiled(network, batch, objective)
    network.parameters["readout.W"][1, 0, 0] = bad
    broken = compiled(network, batch, objective)
    assert not broken.losses[1].isfinite()
    assert not rows_of(broken).mantissa[1].isfinite().all()
    for r in (0, 2):
        assert torch.equal(clean.losses[r], broken.losses[r])
        for name, gradient in clean.gradients.items():
            assert torch.equal(gradient.mantissa[r], broken.gradients[name].mantissa[r])


def gradients(gain: float, dtype: torch.dtype, T: int) -> tuple[Gradient, Gradient, Network]:
    """The gradient of three replicas, one of them with a loss of zero, in rows and by parameter."""
    network = make_network(CELLS["lstm"](), R=3, layers=2, dtype=dtype)
    batch = make_batch(LAST, R=3, T=T, dtype=dtype)
    for name, tensor in network.parameters.items():
        if name.endswith("W_hh"):
            tensor *= torch.tensor([gain, 1.0, 1.0], dtype=dtype)[:, None, None]
    network.parameters["readout.b"] = torch.tensor([[0.0, 0.1], [1e5, 0.0], [0.3, 0.1]], dtype=dtype)
    batch.y.zero_()
    found, width = compiled(network, batch, LAST), network.layout.width
    return found.gradient(width), Gradient(list(found.gradients.values()), width), network


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize(("gain", "T"), [(1.0, 6), (1e-3, 60), (60.0, 80)], ids=["ordinary", "vanished", "exploded"])
@pytest.mark.parametrize("name", CLIPS)
def test_a_gradient_in_rows_is_the_gradient_under_every_clip(
    name: str, gain: float, T: int, dtype: torch.dtype
) -> None:
    ours, expected, _ = gradients(gain, dtype, T)
    np.testing.assert_allclose(ours.log2_norm, expected.log2_norm, rtol=0, atol=1e-12)
    assert ours.count == expected.count
    for threshold in (1e-3, 1.0):
        options = {"threshold": threshold} if "threshold" in CLIPS[name].model_fields else {}
        clips = [CLIPS[name](name=name, **options)] * 3
        (rows, share), (theirs, their_share) = clips[0].act(clips, ours), clips[0].act(clips, expected)
        np.testing.assert_array_equal(share, their_share)
        # The norm, and so the factor of a clip, is summed in another order.
        torch.testing.assert_close(rows, theirs, rtol=2 * torch.finfo(dtype).eps, atol=0)


def test_rows_are_fresh_every_time() -> None:
    gradient, _, _ = gradients(1.0, F32, 6)
    first: Tensor = gradient.plain()
    kept = first.clone()
    first.zero_()
    assert torch.equal(gradient.plain(), kept)
    assert torch.equal(gradient.of(2, 3).plain(), kept[2:])
