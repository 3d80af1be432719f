"""Weight gradients after the loop equal sums in float64 over rows whose exponents lie however far apart."""

from __future__ import annotations

import pytest
import torch

from rnnlab.scan.cuda.weight_sums import sum_of_aligned, weight_sums
from rnnlab.scan.scaled import Scaled


def rows(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("offset", [-5000, 0, 5000])
def test_rows_of_any_size_are_summed(offset: int) -> None:
    """Each row's product counts by its own size; the sum is right relative to its norm."""
    left, right = rows(0, 2, 4, 3, 5), rows(1, 2, 4, 3, 7)
    exponent = torch.randint(-90, 90, (2, 4, 3), generator=torch.Generator().manual_seed(2))
    found = sum_of_aligned(left, Scaled(right, exponent + offset))
    wide = right.double() * exponent.double().exp2()[..., None]
    exact = torch.einsum("rtbm,rtbn->rmn", left.double(), wide)
    ours = found.mantissa.double() * (found.exponent - offset).double().exp2()[:, None, None]
    assert ((ours - exact).norm() / exact.norm()).item() < 1e-6


def test_states_that_grow_as_fast_as_the_gradient_vanishes_count_alike() -> None:
    """h_t = 2^t beside a gradient of 2^-t: every product is 1, though the rows differ by 2^120."""
    t = torch.arange(121)
    left = (t - 60).float().exp2().view(1, -1, 1, 1)
    right = Scaled(torch.ones(1, 121, 1, 1), -t.view(1, -1, 1))
    found = sum_of_aligned(left, right)
    assert found.mantissa.item() * 2.0 ** (found.exponent.item() + 60) == pytest.approx(121, rel=1e-6)


@pytest.mark.parametrize("zeros", ["left", "right", "both"])
def test_zeros_with_any_exponent_add_nothing(zeros: str) -> None:
    left, right, exponent = rows(0, 1, 2, 1, 3), rows(1, 1, 2, 1, 3), torch.tensor([[[3000], [-7]]])
    exact = torch.einsum("bm,bn->mn", left[0, 1].double(), right[0, 1].double()) * 2.0**-7
    if zeros in ("left", "both"):
        left[:, 0] = 0
    if zeros in ("right", "both"):
        right[:, 0] = 0
    torch.testing.assert_close(
        sum_of_aligned(left, Scaled(right, exponent)).plain()[0].double(), exact, rtol=1e-6, atol=0
    )
    nothing = sum_of_aligned(left * 0, Scaled(right, exponent))
    assert nothing.plain().eq(0).all()
    assert nothing.exponent.tolist() == [0]


@pytest.mark.parametrize("one", [True, False], ids=["one gradient", "two gradients"])
def test_each_parameter_gets_its_own_sum(one: bool) -> None:
    x, h, of_x, of_h = rows(0, 2, 3, 4, 2), rows(1, 2, 3, 4, 5), rows(2, 2, 3, 4, 6), rows(3, 2, 3, 4, 6)
    zero = torch.zeros(2, 3, 4, dtype=torch.int64)
    dgx = Scaled(of_x, zero)
    found = weight_sums(x, h, dgx, dgx if one else Scaled(of_h, zero))
    of_h = of_x if one else of_h
    expected = {
        "W_ih": torch.einsum("rtbi,rtbn->rin", x, of_x), "W_hh": torch.einsum("rtbh,rtbn->rhn", h, of_h),
        "b": of_x.sum((1, 2)), "b_hh": of_h.sum((1, 2)),
    }  # fmt: skip
    for name, value in expected.items():
        torch.testing.assert_close(found[name].plain(), value, rtol=1e-5, atol=1e-5)


def test_what_is_not_finite_reaches_the_sum() -> None:
    right = rows(1, 1, 2, 1, 3)
    right[0, 0, 0, 0] = torch.nan
    assert (
        sum_of_aligned(rows(0, 1, 2, 1, 3), Scaled(right, torch.zeros(1, 2, 1, dtype=torch.int64)))
        .mantissa.isnan()
        .any()
    )
