"""Gradients whose size no number format can hold: tensors with a power of two for each replica or each row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.logspace import LOG10_2
from rnnlab.scan.thresholds import ANY_FLOAT64, NO_EXPONENT


class Scaled(NamedTuple):
    """Numbers as mantissa * 2^exponent.

    mantissa [*E, ...] of any float dtype, exponent int64 [*E]: [R] for the gradient of a parameter, whose replicas have
    an exponent each; [R, T, B] or [R, S, B] for rows [..., N] of an adjoint.

    >>> small = Scaled.of(torch.tensor([[3e-30, 4e-30]]), torch.tensor([-1000]))
    >>> small.exponent, small.log10_norm()
    (tensor([-1097]), tensor([-330.3310], dtype=torch.float64))
    """

    mantissa: Tensor
    exponent: Tensor

    @classmethod
    def of(cls, rows: Tensor, exponent: Tensor | int = 0) -> Scaled:
        """Rows [*E, N] times 2^exponent [*E], each normalized: the largest entry of its mantissa is in [0.5, 1). Exact.

        A row of zeros, or with an entry that is not finite, keeps its values and this exponent.
        """
        shift = _exponents(rows.abs().amax(-1))
        return cls(_times_power(rows, -shift), shift + exponent)

    @classmethod
    def near(cls, rows: Tensor, dtype: torch.dtype) -> Scaled:
        """Rows [*E, N] in this dtype; normalized where the largest entry is beyond 2^+-NO_EXPONENT, else exponent 0."""
        largest = rows.abs().amax(-1)
        if _all_near(largest):
            return cls(rows.to(dtype), torch.zeros(largest.shape, dtype=torch.int64, device=rows.device))
        mantissa, exponent = cls.of(rows)
        far = exponent.abs() > NO_EXPONENT
        return cls(torch.where(far[..., None], mantissa, rows).to(dtype), exponent.where(far, 0))

    def to(self, dtype: torch.dtype) -> Scaled:
        """The same with a mantissa of this dtype."""
        return Scaled(self.mantissa.to(dtype), self.exponent)

    def plain(self) -> Tensor:
        """The value in the dtype of the mantissa: inf where it overflows, 0 where it is below the smallest normal."""
        value, limits = self.mantissa, torch.finfo(self.mantissa.dtype)
        # Factors that the format itself can hold, so that 0 * 2^e stays 0; three of them span it from end to end.
        most = int(-math.log2(limits.tiny))
        left = self.exponent.clamp(-3 * most, 3 * most)
        while left.any():
            part = left.clamp(-most, most)
            value = value * self._spread(part.to(value.dtype).exp2())
            left = left - part
        return value.masked_fill(value.abs() < limits.tiny, 0)

    def times_power(self, log2_factor: NDArray[np.float64]) -> Scaled:
        """Times 2^log2_factor [*E]: its whole part goes to the exponent, the rest to the mantissa."""
        whole = np.floor(log2_factor)
        factor = torch.from_numpy(np.exp2(log2_factor - whole)).to(self.mantissa)
        shift = torch.from_numpy(whole.astype(np.int64)).to(self.exponent.device)
        return Scaled(self.mantissa * self._spread(factor), self.exponent + shift)

    def clamped(self, bounds: Tensor | None) -> Scaled:
        """Clamped to [-bound, bound], bounds float64 [R], in true values; normalized. None clamps nothing."""
        if bounds is None:
            return self
        limit = self.limit(bounds)
        return Scaled.of(self.mantissa.clamp(-limit, limit), self.exponent)

    def limit(self, bounds: Tensor) -> Tensor:
        """Bounds float64 [R] in units of each row's exponent, so that they can be held against the mantissa."""
        shift = -self.exponent.double().clamp(-ANY_FLOAT64, ANY_FLOAT64)
        return self._spread(bounds.reshape(-1, *[1] * (shift.dim() - 1)) * shift.exp2())

    def log10_norm(self) -> Tensor:
        """log10 of the L2 norm of each float64 row, [*E]: -inf for exact zero."""
        norm: Tensor = torch.linalg.vector_norm(self.mantissa, dim=-1)
        return norm.log10() + self.exponent.double() * LOG10_2

    def log2_norm(self) -> Tensor:
        """log2 of the L2 norm over all but the axes of the exponent, float64 [R]."""
        mantissa, exponent = self.mantissa.flatten(1), self.exponent
        if mantissa.dtype == torch.float64:  # its squares leave float64; those of float32 do not
            shift = _exponents(torch.linalg.vector_norm(mantissa, torch.inf, dim=1)).to(exponent.dtype)
            mantissa, exponent = Scaled(mantissa, -shift).plain(), exponent + shift
        norm: Tensor = torch.linalg.vector_norm(mantissa, dim=1, dtype=torch.float64)
        return norm.log2() + exponent

    def _spread(self, of_exponent: Tensor) -> Tensor:
        """A tensor [*E] so that it multiplies the mantissa."""
        return of_exponent.reshape(*of_exponent.shape, *[1] * (self.mantissa.dim() - of_exponent.dim()))


def add(a: Scaled, b: Scaled) -> Scaled:
    """The sum of rows [*E, N] with exponents of their own, whose mantissas have one dtype."""
    parts = [Scaled.of(*rows) for rows in (a, b)]
    sizes = [_sizes(part) for part in parts]
    top = torch.maximum(*sizes)
    first, second = (
        part.mantissa * power(size - top, part.mantissa.dtype)[..., None]
        for part, size in zip(parts, sizes, strict=True)
    )
    return Scaled(first + second, top.masked_fill(top == NOTHING, 0))


def sum_of_products(left: Tensor | None, right: Scaled, *, elementwise: bool = False) -> Scaled:
    """sum left^T right over all rows of a replica: [R, M, N], or [R, N] where left is None (ones), with exponents [R].

    elementwise: sum left * right instead, of rows of one length, [R, N].

    left [R, ..., M]; right: rows [R, ..., N]. A row counts by the size of its own product: a large state beside a small
    gradient is as much as the other way round.
    """
    rows = Scaled.of(*right)
    sizes = _sizes(rows)
    if left is not None:
        left, of_left = Scaled.of(left)
        sizes = sizes + _sizes(Scaled(left, of_left))
    top = sizes.flatten(1).amax(1)
    top = top.masked_fill(top < NOTHING // 2, 0)
    factor = power((sizes.flatten(1) - top[:, None]).view_as(sizes), rows.mantissa.dtype)
    weighted = (rows.mantissa * factor[..., None]).flatten(1, -2)
    if left is None:
        return Scaled(weighted.sum(1), top)
    rows_left = left.flatten(1, -2)
    return Scaled((rows_left * weighted).sum(1) if elementwise else torch.bmm(rows_left.mT, weighted), top)


NOTHING = -(1 << 40)
"""The exponent of a row of zeros: below all others."""


def sizes_of(exponent: Tensor, largest: Tensor) -> Tensor:
    """The exponents of normalized rows whose largest entries are these, int64 [*E]; of rows of zeros NOTHING."""
    return exponent.masked_fill(largest == 0, NOTHING)


def _sizes(rows: Scaled) -> Tensor:
    return sizes_of(rows.exponent, rows.mantissa.abs().amax(-1))


def power(exponent: Tensor, dtype: torch.dtype) -> Tensor:
    """2^exponent of exponents of at most 0: 0 where the dtype cannot hold it."""
    return exponent.clamp(min=-1100).to(dtype).exp2()


def log2_norm(gradients: Sequence[Scaled]) -> Tensor:
    """log2 of the L2 norm over all parameters, for each replica [R]: -inf for exact zero, inf or nan if not finite."""
    logs = torch.stack([gradient.log2_norm() for gradient in gradients])
    top = logs.amax(0)
    steady = torch.where(top.isfinite(), top, 0)
    norm = torch.exp2(2 * (logs - steady)).sum(0).log2() / 2 + steady
    return torch.where(logs.isnan().any(0), torch.nan, torch.where(top.isfinite(), norm, top))


def _exponents(largest: Tensor) -> Tensor:
    """The power of two above each size, int64; 0 where it is zero or not finite."""
    return torch.frexp(largest.where(largest.isfinite(), 0)).exponent.long()


def _times_power(rows: Tensor, power: Tensor) -> Tensor:
    """rows [*E, N] times 2^power [*E], exact."""
    # In two halves, since 2^1074 is no float64 (and not by ldexp, which took its power in float32 in older torch).
    half = power.to(rows.dtype)[..., None] / 2
    return rows * half.floor().exp2() * half.ceil().exp2()


def _all_near(largest: Tensor) -> bool:
    """Whether no number of these sizes needs an exponent: all within 2^+-NO_EXPONENT, or zero."""
    sizes = largest.cpu().numpy()
    if not sizes.size:
        return True
    if sizes.min() >= 0.5**NO_EXPONENT and sizes.max() < 2.0**NO_EXPONENT:
        return True
    return bool(((sizes == 0) | ((sizes >= 0.5 ** (NO_EXPONENT + 1)) & (sizes < 2.0**NO_EXPONENT))).all())
