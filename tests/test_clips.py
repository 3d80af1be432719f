"""Laws of the clips: the norm after is min(norm, threshold), the direction stays, replicas do not meet."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from rnnlab.clips import CLIPS, Clip
from rnnlab.network.flat import Gradient, Layout
from rnnlab.scan.scaled import Scaled, log2_norm

DTYPES = [torch.float32, torch.float64]
SHAPES = [(5, 7), (1,), (33,), (4, 2)]
WITH_THRESHOLD = [name for name, part in CLIPS.items() if "threshold" in part.model_fields]

unhurried = settings(deadline=None)


def made(name: str, threshold: float = 1.0) -> Clip:
    return CLIPS[name](**({"threshold": threshold} if name in WITH_THRESHOLD else {}))


def drawn(
    seed: int = 0, R: int = 1, dtype: torch.dtype = torch.float64, powers: list[int] | None = None
) -> list[Scaled]:
    """A gradient for every parameter of every replica; each replica is 2^power times a normal sample."""
    g = torch.Generator().manual_seed(seed)
    exponent = torch.tensor(powers or [0] * R)
    return [Scaled(torch.randn(R, *shape, generator=g, dtype=dtype), exponent) for shape in SHAPES]


def clipped(clip: Clip, gradients: list[Scaled]) -> tuple[list[Tensor], Tensor]:
    """What the optimizer gets, by parameter, and the clipped share."""
    layout = Layout({str(k): one.mantissa.shape[1:] for k, one in enumerate(gradients)})
    gradient = Gradient(gradients, layout.width)
    rows, share = clip.act([clip] * len(gradient.log2_norm), gradient)
    assert (rows[:, layout.count :] == 0).all()
    return list(layout.views(rows).values()), torch.from_numpy(share)


def norm(gradients: list[Tensor], replica: int = 0) -> float:
    """The global norm, through log2_norm (which has its own tests), since a square of 1e-200 is 0."""
    zero = torch.zeros(gradients[0].shape[0], dtype=torch.int64)
    return float(2 ** log2_norm([Scaled(one, zero) for one in gradients])[replica])


def unit(gradients: list[Tensor], replica: int = 0) -> Tensor:
    """The unit vector along a replica's whole gradient; of the mantissas it is that of the true gradient."""
    whole = torch.cat([one[replica].double().flatten() for one in gradients])
    whole = whole / whole.abs().max()
    return whole / whole.norm()


def mantissas(gradients: list[Scaled]) -> list[Tensor]:
    return [one.mantissa for one in gradients]


# contract, over the table


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("R", [1, 4])
@pytest.mark.parametrize("name", CLIPS)
def test_shapes_and_types_are_kept(name: str, R: int, dtype: torch.dtype) -> None:
    gradients = drawn(R=R, dtype=dtype, powers=[0, 9, -9, 300][:R])
    after, share = clipped(made(name), gradients)
    assert [one.shape for one in after] == [(R, *shape) for shape in SHAPES]
    assert all(one.dtype == dtype for one in after)
    assert share.shape == (R,)
    assert ((share >= 0) & (share <= 1)).all()


@pytest.mark.parametrize("name", CLIPS)
def test_what_is_given_is_not_changed(name: str) -> None:
    gradients = drawn(R=2, powers=[5, 0])
    before = [(one.mantissa.clone(), one.exponent.clone()) for one in gradients]
    clipped(made(name, 1e-3), gradients)
    for one, (mantissa, exponent) in zip(gradients, before, strict=True):
        assert torch.equal(one.mantissa, mantissa)
        assert torch.equal(one.exponent, exponent)


@pytest.mark.parametrize("name", CLIPS)
def test_a_gradient_below_the_threshold_is_left_alone(name: str) -> None:
    gradients = drawn(R=2)
    after, share = clipped(made(name, 1e6), gradients)
    assert all(torch.equal(one, given.mantissa) for one, given in zip(after, gradients, strict=True))
    assert torch.equal(share, torch.zeros(2, dtype=share.dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("powers", [[0, 0, 0, 0], [0, 5, 200, -200], [-3000, 3000, 0, 1]])
@pytest.mark.parametrize("name", CLIPS)
def test_replicas_do_not_meet(name: str, powers: list[int], dtype: torch.dtype) -> None:
    """Each replica of a fleet gets, to the last bit, what it would get alone, whatever happens to the others."""
    gradients = drawn(R=4, dtype=dtype, powers=powers)
    gradients[0].mantissa[0] *= 1e-30  # one that no clip touches
    gradients[1].mantissa[3, 0] = math.nan
    together, shares = clipped(made(name, 2.0), gradients)
    for r in range(4):
        alone, share = clipped(made(name, 2.0), [Scaled(m[r : r + 1], e[r : r + 1]) for m, e in gradients])
        assert torch.equal(shares[r : r + 1], share)
        for ours, own in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[r : r + 1], own, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", CLIPS)
def test_nan_stays_nan(name: str) -> None:
    gradients = drawn()
    gradients[0].mantissa[0, 2, 3] = math.nan
    after, _ = clipped(made(name, 1e-3), gradients)
    assert after[0][0, 2, 3].isnan()


@pytest.mark.parametrize("name", CLIPS)
def test_a_gradient_of_zero_stays_zero(name: str) -> None:
    after, share = clipped(made(name), [Scaled(torch.zeros(2, 3), torch.tensor([0, 700]))])
    assert torch.equal(after[0], torch.zeros(2, 3))
    assert torch.equal(share, torch.zeros(2, dtype=share.dtype))


@pytest.mark.parametrize("name", CLIPS)
def test_only_the_adjoint_clip_acts_inside_the_scan(name: str) -> None:
    assert made(name, 0.25).in_scan() == (0.25 if name == "adjoint" else None)


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_says_what_it_is(name: str) -> None:
    part = CLIPS[name]
    assert len(part.meaning()) > 10
    assert part.source or name == "none"
    assert all(field.description for key, field in part.model_fields.items() if key != "name")
    assert part(**made(name, 0.5).model_dump()) == made(name, 0.5)


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        (0, "greater than 0"),
        (-1.0, "greater than 0"),
        (math.inf, "finite"),
        (math.nan, "finite"),
        ("a", "valid number"),
    ],
)
@pytest.mark.parametrize("name", WITH_THRESHOLD)
def test_a_threshold_that_bounds_nothing_is_refused(name: str, threshold: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        made(name, threshold)


def test_an_adjoint_clip_below_float32_is_refused() -> None:
    assert made("adjoint", 1e-30).model_dump()["threshold"] == 1e-30
    with pytest.raises(ValidationError, match="below 1e-30 a float32 scan clamps everything to zero"):
        made("adjoint", 1e-31)


def test_no_clip_takes_no_threshold() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        CLIPS["none"](threshold=1.0)


# norm


@unhurried
@given(
    seed=st.integers(0, 99),
    power=st.integers(-1000, 1000) | st.integers(-6000, 6000),
    threshold=st.floats(1e-6, 1e6),
    dtype=st.sampled_from(DTYPES),
)
def test_the_norm_after_is_the_lesser_of_norm_and_threshold(
    seed: int, power: int, threshold: float, dtype: torch.dtype
) -> None:
    gradients = drawn(seed, dtype=dtype, powers=[power])
    before = log2_norm(gradients)
    after, share = clipped(made("norm", threshold), gradients)
    assert share == (before.item() > math.log2(threshold))
    if before.item() < math.log2(torch.finfo(dtype).tiny) + 60:
        return  # entries are lost below the smallest normal number
    expected = min(2 ** min(before.item(), 1000), threshold)
    assert norm(after) == pytest.approx(expected, rel=1e-6 if dtype == torch.float32 else 1e-11, abs=0)
    assert torch.dot(unit(after), unit(mantissas(gradients))).item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("decades", [39, 60, 300, 3000])
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_explosion_is_clipped_in_its_true_direction(dtype: torch.dtype, decades: int) -> None:
    """Where torch.nn.utils.clip_grad_norm_ gives NaN (1e60 in float32)."""
    gradients = drawn(dtype=dtype, powers=[round(decades * math.log2(10))])
    after, share = clipped(made("norm", 3.0), gradients)
    assert share == 1
    assert norm(after) == pytest.approx(3.0, rel=1e-6, abs=0)
    assert (unit(after) - unit(mantissas(gradients))).abs().max() < 1e-6


def test_a_vanished_gradient_is_clipped_where_the_format_holds_it() -> None:
    after, share = clipped(made("norm", 1e-70), drawn(powers=[-200]))  # 1e-60
    assert share == 1
    assert norm(after) == pytest.approx(1e-70, rel=1e-11, abs=0)
    after, share = clipped(made("norm", 1e-70), drawn(dtype=torch.float32, powers=[-200]))
    assert share == 1
    assert norm(after) == 0


@pytest.mark.parametrize("threshold", [1e-3, 1.0, 5.0, 100.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_it_equals_torch_where_torch_can(dtype: torch.dtype, threshold: float) -> None:
    """torch divides by norm + 1e-6, the formula by the norm itself."""
    gradients = drawn(dtype=dtype)
    parameters = [torch.zeros_like(one.mantissa, requires_grad=True) for one in gradients]
    for parameter, one in zip(parameters, gradients, strict=True):
        parameter.grad = one.mantissa.clone()
    norm = torch.nn.utils.clip_grad_norm_(parameters, threshold).item()
    after, _ = clipped(made("norm", threshold), gradients)
    for parameter, ours, one in zip(parameters, after, gradients, strict=True):
        torch.testing.assert_close(ours, parameter.grad, rtol=1e-5, atol=0)
        exact = one.mantissa.double() * min(1, threshold / norm)
        torch.testing.assert_close(ours.double(), exact, rtol=1e-6 if dtype == torch.float32 else 1e-12, atol=0)


@pytest.mark.parametrize("bad", [math.inf, -math.inf])
def test_an_infinite_entry_has_no_direction_and_stays(bad: float) -> None:
    gradients = drawn(R=2)
    gradients[1].mantissa[0, 0] = bad
    after, share = clipped(made("norm"), gradients)
    assert after[1][0, 0] == bad
    assert norm(after, 1) == pytest.approx(1, rel=1e-12)
    assert torch.equal(share, torch.ones(2, dtype=share.dtype))


# value


@unhurried
@given(seed=st.integers(0, 99), threshold=st.floats(1e-3, 5), dtype=st.sampled_from(DTYPES))
def test_value_is_torchs_and_its_share_is_counted(seed: int, threshold: float, dtype: torch.dtype) -> None:
    gradients = drawn(seed, dtype=dtype)
    parameters = [torch.zeros_like(one.mantissa, requires_grad=True) for one in gradients]
    for parameter, one in zip(parameters, gradients, strict=True):
        parameter.grad = one.mantissa.clone()
    torch.nn.utils.clip_grad_value_(parameters, threshold)
    after, share = clipped(made("value", threshold), gradients)
    assert all(torch.equal(ours, parameter.grad) for ours, parameter in zip(after, parameters, strict=True))
    entries = [abs(value) > threshold for one in gradients for value in one.mantissa.flatten().tolist()]
    assert share.item() == sum(entries) / len(entries)


def test_value_clamps_what_the_format_cannot_hold() -> None:
    """2^2000 is inf as a plain number, and known to be beyond any threshold; its sign is kept."""
    gradients = [Scaled(torch.tensor([[1.0, -1.0, 0.0]]), torch.tensor([2000]))]
    after, share = clipped(made("value", 0.5), gradients)
    assert after[0].tolist() == [[0.5, -0.5, 0.0]]
    assert share.item() == 2 / 3
