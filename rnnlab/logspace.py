"""Norms and gradients whose size no number format can hold: a mantissa and a power of two.

Nothing here takes log(x + eps). An exact zero is -inf, what is not finite stays so, and a value that float32 lost on
the way is `underflow`, which only the general scan can meet.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

LOG10_2 = float(np.log10(2.0))

Array = NDArray[np.float64]


class Scaled(NamedTuple):
    """A gradient of every replica: true value = mantissa [R, ...] * 2^exponent [R]."""

    mantissa: Tensor
    exponent: Tensor

    def plain(self) -> Tensor:
        """The value in the dtype of the mantissa: inf where it overflows, 0 where it is below the smallest normal."""
        import torch

        value, limits = self.mantissa, torch.finfo(self.mantissa.dtype)
        # Factors that the format itself can hold, so that 0 * 2^e stays 0; three of them span it from end to end.
        most = int(-math.log2(limits.tiny))
        left = self.exponent.clamp(-3 * most, 3 * most)
        while left.any():
            part = left.clamp(-most, most)
            value = value * part.to(value.dtype).exp2().reshape(-1, *[1] * (value.dim() - 1))
            left = left - part
        return value.masked_fill(value.abs() < limits.tiny, 0)


def scaled_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [..., N] as mantissas whose largest entry lies in [0.5, 1), and int64 exponents [...]; exact.

    A row of zeros, or with an entry that is not finite, keeps its values and gets exponent 0.
    """
    import torch

    largest = rows.abs().amax(-1)
    exponents = torch.frexp(largest.where(largest.isfinite(), 0)).exponent.long()
    # In two halves, since 2^1074 is no float64 (and not by ldexp, which took its power in float32 in older torch).
    half = -exponents.to(rows.dtype)[..., None] / 2
    return rows * half.floor().exp2() * half.ceil().exp2(), exponents


def log2_norm(gradients: list[Scaled]) -> Tensor:
    """log2 of the L2 norm over all parameters, for each replica [R]: -inf for exact zero, inf or nan if not finite."""
    import torch

    each = []
    for mantissa, exponent in map(_rescaled, gradients):
        norm = torch.linalg.vector_norm(mantissa.flatten(1), dim=1, dtype=torch.float64)
        each.append(norm.log2() + exponent)
    logs = torch.stack(each)
    top = logs.amax(0)
    steady = torch.where(top.isfinite(), top, 0)
    norm = torch.exp2(2 * (logs - steady)).sum(0).log2() / 2 + steady
    return torch.where(logs.isnan().any(0), torch.nan, torch.where(top.isfinite(), norm, top))


def _rescaled(gradient: Scaled) -> Scaled:
    """The same gradient with its largest entry near 1: squares of float64 leave float64, those of float32 do not."""
    import torch

    mantissa, exponent = gradient
    if mantissa.dtype != torch.float64:
        return gradient
    largest = torch.linalg.vector_norm(mantissa.flatten(1), torch.inf, dim=1)
    shift = torch.frexp(largest.where(largest.isfinite(), 0)).exponent.to(exponent.dtype)
    return Scaled(Scaled(mantissa, -shift).plain(), exponent + shift)


def log10_of_squares(squares: Array, exponents: NDArray[np.int64]) -> Array:
    """log10 of sqrt(squares) * 2^exponents, elementwise: -inf for exact zero, inf or nan if not finite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(0.5 * np.log10(squares) + exponents * LOG10_2)


def log10_total(log10_norms: Array) -> Array:
    """log10 of the norm over the last axis of parts whose log10 norms are given: sqrt(sum of 10^(2 l))."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        top = log10_norms.max(-1)
        steady = np.where(np.isfinite(top), top, 0.0)
        total = 0.5 * np.log10((10.0 ** (2 * (log10_norms - steady[..., None]))).sum(-1)) + steady
    return np.where(np.isfinite(top), total, top)


def log10_percentiles(log10_norms: Array, alive: NDArray[np.bool_], percents: tuple[float, ...]) -> Array:
    """Percentiles over the last axis of the entries that are alive, by linear interpolation of log10 values.

    Shapes [..., B] to [len(percents), ...]. A value between -inf and a number is -inf; if an entry is nan, so is the
    result. With nothing alive the result is nan too, and no row is written for it.
    """
    ordered = np.sort(np.where(alive, log10_norms, np.inf), -1)
    count = alive.sum(-1)
    broken = (alive & np.isnan(log10_norms)).any(-1) | (count == 0)
    found = []
    for percent in percents:
        place = percent / 100 * (np.maximum(count, 1) - 1)
        below = np.floor(place).astype(int)
        above = np.minimum(below + 1, np.maximum(count, 1) - 1)
        low = np.take_along_axis(ordered, below[..., None], -1)[..., 0]
        high = np.take_along_axis(ordered, above[..., None], -1)[..., 0]
        weight = place - below
        with np.errstate(invalid="ignore"):
            between = np.where(weight == 0, low, low * (1 - weight) + high * weight)
        between = np.where(np.isneginf(low) & (weight > 0), -np.inf, between)
        found.append(np.where(broken, np.nan, between))
    return np.stack(found)


def power_of_ten(log10_value: Array) -> Array:
    """10^x as a plain number: 0 or inf where float64 cannot hold it."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(10.0**log10_value)
