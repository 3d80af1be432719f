"""Losses equal torch's on outputs gathered by hand, wherever the loss is placed; padding is never read."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp
from torch import Tensor, nn

from rnnlab.network.objective import Objective, Placement, cross_entropy

F64 = torch.float64
PLACEMENTS: list[Placement] = ["last", "all", 0, 2, -1, -3]
Kind = Literal["class", "value"]
KINDS: list[Kind] = ["class", "value"]
OUTPUTS = 4

every_placement = pytest.mark.parametrize("placement", PLACEMENTS)
every_kind = pytest.mark.parametrize("kind", KINDS)
both_targets = pytest.mark.parametrize("per_timestep", [False, True], ids=["one-target", "per-timestep"])


def lengths_of(R: int, T: int, B: int, ragged: bool, seed: int = 0) -> Tensor:
    """Lengths [R, B] of at least 3 timesteps; when ragged, the longest is T."""
    if not ragged:
        return torch.full((R, B), T)
    lengths = torch.randint(3, T + 1, (R, B), generator=torch.Generator().manual_seed(seed))
    lengths[:, 0] = T
    return lengths


def data(kind: Kind, per_timestep: bool, R: int, T: int, B: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """An output for every timestep [R, T, B, O], and targets."""
    g = torch.Generator().manual_seed(seed)
    shape = (R, T, B) if per_timestep else (R, B)
    outputs = torch.randn(R, T, B, OUTPUTS, generator=g, dtype=F64)
    if kind == "class":
        return outputs, torch.randint(0, OUTPUTS, shape, generator=g)
    return outputs, torch.randn(*shape, OUTPUTS, generator=g, dtype=F64)


def found(objective: Objective, outputs: Tensor, y: Tensor, lengths: Tensor) -> Tensor:
    """The losses [R], the way a pass takes them."""
    read_out = objective.read_out(lengths, outputs.shape[1])
    return objective.losses(read_out.gather(outputs), objective.targets(y, read_out), read_out)


def by_hand(objective: Objective, outputs: Tensor, y: Tensor, lengths: Tensor, r: int) -> Tensor:
    """One replica's loss: pick outputs and targets one after another, and give them to torch's own loss."""
    picked, targets = [], []
    for b, length in enumerate(lengths[r].tolist()):
        chosen = {"last": [length - 1], "all": range(length)}.get(str(objective.placement), [objective.placement])
        for t in (t if t >= 0 else length + t for t in chosen):
            picked.append(outputs[r, t, b])
            targets.append(y[r, t, b] if objective.per_timestep else y[r, b])
    loss: nn.Module = nn.CrossEntropyLoss() if objective.kind == "class" else nn.MSELoss()
    value: Tensor = loss(torch.stack(picked), torch.stack(targets))
    return value


@pytest.mark.parametrize("ragged", [False, True], ids=["even", "ragged"])
@pytest.mark.parametrize("R", [1, 4])
@both_targets
@every_placement
@every_kind
def test_losses_are_torchs(kind: Kind, placement: Placement, per_timestep: bool, R: int, ragged: bool) -> None:
    objective, lengths = Objective(kind, placement, per_timestep), lengths_of(R, 7, 5, ragged)
    outputs, y = data(kind, per_timestep, R, 7, 5)
    losses = found(objective, outputs, y, lengths)
    assert losses.shape == (R,)
    for r in range(R):
        torch.testing.assert_close(losses[r], by_hand(objective, outputs, y, lengths, r), rtol=1e-13, atol=1e-13)


@settings(deadline=None, max_examples=50)
@given(
    kind=st.sampled_from(KINDS),
    placement=st.sampled_from(PLACEMENTS),
    per_timestep=st.booleans(),
    R=st.integers(1, 4),
    T=st.integers(3, 12),
    B=st.integers(1, 6),
    ragged=st.booleans(),
    seed=st.integers(0, 99),
)
def test_gradients_are_torchs_at_any_shape(
    kind: Kind, placement: Placement, per_timestep: bool, R: int, T: int, B: int, ragged: bool, seed: int
) -> None:
    """Autograd through gather and losses gives each timestep what it is due, and padding exactly nothing."""
    objective, lengths = Objective(kind, placement, per_timestep), lengths_of(R, T, B, ragged, seed)
    outputs, y = data(kind, per_timestep, R, T, B, seed)
    outputs.requires_grad_()
    (ours,) = torch.autograd.grad(found(objective, outputs, y, lengths).sum(), outputs)
    theirs = sum(torch.autograd.grad(by_hand(objective, outputs, y, lengths, r), outputs)[0] for r in range(R))
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)
    padding = torch.arange(T)[None, :, None] >= lengths[:, None]
    assert (ours[padding] == 0).all()


@both_targets
@every_placement
@every_kind
def test_padding_is_never_read(kind: Kind, placement: Placement, per_timestep: bool) -> None:
    """NaN outputs and impossible targets beyond a sequence's end change neither loss nor gradient, to the bit."""
    objective, lengths = Objective(kind, placement, per_timestep), lengths_of(2, 8, 5, ragged=True)
    outputs, y = data(kind, per_timestep, 2, 8, 5)
    padding = torch.arange(8)[None, :, None] >= lengths[:, None]
    assert padding.any()
    poisoned = outputs.masked_fill(padding[..., None], math.nan)
    spoilt = y.clone()
    if per_timestep:
        spoilt[padding] = 10**6 if kind == "class" else math.nan
    gradients = []
    for one, targets in ((outputs, y), (poisoned, spoilt)):
        leaf = one.clone().requires_grad_()
        losses = found(objective, leaf, targets, lengths)
        assert losses.isfinite().all()
        gradients.append(torch.cat([losses, *torch.autograd.grad(losses.sum(), leaf)[0].flatten(1)]))
    assert torch.equal(*gradients)


@every_kind
def test_one_broken_replica_leaves_the_others(kind: Kind) -> None:
    objective, lengths = Objective(kind, "all", False), lengths_of(3, 6, 4, ragged=True)
    outputs, y = data(kind, False, 3, 6, 4)
    broken = outputs.clone()
    broken[1] = math.nan
    before, after = (found(objective, one, y, lengths) for one in (outputs, broken))
    assert after[1].isnan()
    assert torch.equal(before[[0, 2]], after[[0, 2]])


@pytest.mark.parametrize("ragged", [False, True], ids=["even", "ragged"])
@pytest.mark.parametrize("R", [1, 4])
@both_targets
@every_placement
@every_kind
def test_slopes_are_the_losses_and_their_gradient(
    kind: Kind, placement: Placement, per_timestep: bool, R: int, ragged: bool
) -> None:
    """In closed form, what `losses` and autograd give; and nothing without a read-out, whatever stands there."""
    objective, lengths = Objective(kind, placement, per_timestep), lengths_of(R, 7, 5, ragged)
    every, y = data(kind, per_timestep, R, 7, 5)
    read_out = objective.read_out(lengths, 7)
    outputs, targets = read_out.gather(every).requires_grad_(), objective.targets(y, read_out)
    expected = objective.losses(outputs, targets, read_out)
    (gradient,) = torch.autograd.grad(expected.sum(), outputs)
    dead = (read_out.timesteps < 0)[..., None]
    losses, d = objective.slopes(outputs.detach().masked_fill(dead, math.nan), targets, read_out)
    torch.testing.assert_close(losses, expected.detach(), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(d, gradient, rtol=1e-12, atol=1e-14)
    assert (d.masked_select(dead) == 0).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@every_kind
def test_slopes_of_a_broken_replica_are_not_finite_and_the_others_are_what_they_were(kind: Kind, bad: float) -> None:
    objective, lengths = Objective(kind, "all", False), lengths_of(3, 6, 4, ragged=True)
    outputs, y = data(kind, False, 3, 6, 4)
    read_out, broken = objective.read_out(lengths, 6), outputs.clone()
    broken[1] = bad
    before, after = (objective.slopes(one, objective.targets(y, read_out), read_out) for one in (outputs, broken))
    assert not after[0][1].isfinite()
    assert not after[1][1].isfinite().all()
    for ours, theirs in zip(after, before, strict=True):
        assert torch.equal(ours[[0, 2]], theirs[[0, 2]])


# read-out timesteps


@pytest.mark.parametrize("ragged", [False, True], ids=["even", "ragged"])
@every_placement
def test_times_and_slots_are_each_others_inverse(placement: Placement, ragged: bool) -> None:
    lengths = lengths_of(3, 9, 6, ragged)
    read_out = Objective("class", placement, False).read_out(lengths, 9)
    R, S, B = read_out.timesteps.shape
    assert read_out.slots.shape == (3, 9, 6)
    from_times = {(r, int(read_out.timesteps[r, s, b]), b, s) for r in range(R) for s in range(S) for b in range(B)}
    from_slots = {(r, t, b, int(read_out.slots[r, t, b])) for r in range(R) for t in range(9) for b in range(B)}
    assert {one for one in from_times if one[1] >= 0} == {one for one in from_slots if one[3] >= 0}
    assert all(0 <= t < lengths[r, b] for r, t, b, s in from_slots if s >= 0)


@pytest.mark.parametrize(("placement", "count"), [("last", 1), (2, 1), (-2, 1)])
def test_a_loss_in_one_place_reads_one_output_a_sequence(placement: Placement, count: int) -> None:
    read_out = Objective("value", placement, False).read_out(lengths_of(2, 50, 3, ragged=True), 50)
    assert read_out.timesteps.shape == (2, count, 3)
    assert ((read_out.slots >= 0).sum(1) == count).all()


def test_a_loss_everywhere_reads_every_living_timestep() -> None:
    lengths = lengths_of(2, 9, 4, ragged=True)
    read_out = Objective("value", "all", False).read_out(lengths, 9)
    assert torch.equal((read_out.timesteps >= 0).sum(1), lengths)


@pytest.mark.parametrize("ragged", [False, True], ids=["even", "ragged"])
def test_minus_one_is_the_last_timestep(ragged: bool) -> None:
    lengths = lengths_of(2, 9, 4, ragged)
    one, other = (Objective("class", placement, False).read_out(lengths, 9) for placement in ("last", -1))
    assert torch.equal(one.timesteps, other.timesteps)
    assert torch.equal(one.slots, other.slots)


@every_placement
def test_gathering_shifted_is_gathering_from_a_later_row(placement: Placement) -> None:
    """The states of a scan have the zero state in front: timestep t is row t + 1."""
    objective, lengths = Objective("class", placement, False), lengths_of(2, 8, 5, ragged=True)
    states = torch.randn(2, 8, 5, 3, generator=torch.Generator().manual_seed(0))
    read_out = objective.read_out(lengths, 8)
    shifted = read_out.gather(torch.cat([torch.zeros(2, 1, 5, 3), states], 1), shift=1)
    assert torch.equal(shifted, read_out.gather(states))


# the size of it


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@every_kind
def test_the_loss_keeps_the_type_of_the_outputs(kind: Kind, dtype: torch.dtype) -> None:
    outputs, y = data(kind, False, 2, 5, 3)
    y = y if kind == "class" else y.to(dtype)
    assert found(Objective(kind, "all", False), outputs.to(dtype), y, lengths_of(2, 5, 3, ragged=True)).dtype == dtype


def test_a_uniform_guess_costs_the_log_of_the_classes_in_nats() -> None:
    _, y = data("class", False, 1, 5, 3)
    losses = found(
        Objective("class", "all", False), torch.zeros(1, 5, 3, OUTPUTS, dtype=F64), y, lengths_of(1, 5, 3, False)
    )
    assert losses.item() == pytest.approx(math.log(OUTPUTS), rel=1e-14)


def test_with_all_timesteps_each_counts_the_same_whoever_it_belongs_to() -> None:
    """Not a mean of means: a sequence of 3 timesteps weighs half of one of 6."""
    y, lengths = torch.zeros(1, 2, 1, dtype=F64), torch.tensor([[6, 3]])
    outputs = torch.zeros(1, 6, 2, 1, dtype=F64)
    outputs[0, :, 1] = 1
    assert found(Objective("value", "all", False), outputs, y, lengths).item() == pytest.approx(3 / 9)


@pytest.mark.parametrize("lead", [0.0, 5.0, 20.0, 60.0, 80.0])
def test_a_confident_class_keeps_its_gradient(lead: float) -> None:
    """float32 against mpmath where the target leads by many nats: every entry right to five digits."""
    outputs = torch.tensor([lead, 0.0, -0.7], dtype=torch.float32, requires_grad=True)
    cross_entropy(outputs, torch.tensor(0)).backward()
    with mp.workdps(60):
        p = [mp.exp(mp.mpf(float(v))) for v in outputs.detach()]
        total = sum(p)
        exact = [float(-(p[1] + p[2]) / total), *(float(one / total) for one in p[1:])]
    assert outputs.grad is not None
    assert outputs.grad.tolist() == pytest.approx(exact, rel=1e-5)


def test_cross_entropy_is_torchs() -> None:
    outputs = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, 5, (2, 3, 4))
    theirs = nn.functional.cross_entropy(outputs.flatten(0, 2), targets.flatten(), reduction="none").view(2, 3, 4)
    torch.testing.assert_close(cross_entropy(outputs, targets), theirs)
    assert torch.autograd.gradcheck(lambda o: cross_entropy(o, targets), outputs)
