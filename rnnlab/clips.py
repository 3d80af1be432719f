"""Gradient clipping: what is done to a replica's gradient between the backward scan and the update."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from rnnlab.logspace import Scaled
from rnnlab.parts import Part, table

if TYPE_CHECKING:
    from torch import Tensor


class Clip(Part):
    """A rule for what is done to the gradient; `none` leaves it alone."""

    def in_scan(self) -> float | None:
        """The elementwise bound on pre-activation gradients inside the backward scan, or None."""
        return None

    def __call__(self, gradients: list[Scaled], log2_norm: Tensor) -> tuple[list[Tensor], Tensor]:
        """Gradients [R, ...] and their global log2 norm [R] to what the optimizer gets and the clipped share [R]."""
        return [gradient.plain() for gradient in gradients], log2_norm.new_zeros(log2_norm.shape)


class NoClip(Clip):
    """Leaves the gradient as it is."""

    name: Literal["none"] = "none"


class ClipNorm(Clip):
    """Rescales the whole gradient of a replica when its L2 norm over all parameters exceeds the threshold.

    g <- g * threshold / ||g|| where ||g|| > threshold. The norm is known as mantissa and exponent, so a gradient of
    norm 1e60 is brought to the threshold in its true direction.
    """

    source: ClassVar[str] = "Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013"

    name: Literal["norm"] = "norm"
    threshold: float = Field(
        default=1.0, gt=0, le=1e9, description="largest L2 norm over all parameters that is let through"
    )

    def __call__(self, gradients: list[Scaled], log2_norm: Tensor) -> tuple[list[Tensor], Tensor]:
        acts = log2_norm > math.log2(self.threshold)
        if not acts.any():
            return super().__call__(gradients, log2_norm)
        # threshold / norm = remainder * 2^whole; the power goes to the exponents, so nothing overflows on the way.
        shift = (math.log2(self.threshold) - log2_norm).where(acts & log2_norm.isfinite(), 0)
        whole = shift.floor()
        return [_rescaled(gradient, (shift - whole).exp2(), whole) for gradient in gradients], acts.to(log2_norm.dtype)


class ClipValue(Clip):
    """Clamps every entry of the gradient to [-threshold, threshold]; `clipped` is the share of entries clamped."""

    source: ClassVar[str] = "Mikolov, Statistical language models based on neural networks, 2012"

    name: Literal["value"] = "value"
    threshold: float = Field(
        default=1.0, gt=0, le=1e9, description="largest size of one gradient entry that is let through"
    )

    def __call__(self, gradients: list[Scaled], log2_norm: Tensor) -> tuple[list[Tensor], Tensor]:
        plain = [gradient.plain() for gradient in gradients]
        beyond = sum((one.abs() > self.threshold).flatten(1).sum(1) for one in plain)
        entries = sum(one[0].numel() for one in plain)
        # An entry too large for the number format is known to be beyond the threshold; NaN stays NaN.
        return [one.clamp(-self.threshold, self.threshold) for one in plain], beyond.to(log2_norm.dtype) / entries  # type: ignore[union-attr]


class ClipAdjoint(Clip):
    """Clamps dL/da_t, the gradient of every gate's pre-activation, at each timestep inside the backward scan.

    What is clamped at t is what travels on to t-1, so the parameter gradient is no longer that of the loss. The
    gradient is that of the batch-mean loss. `clipped` is the share of entries clamped; gradients.csv has dL/da_t
    before (state `a`) and after (`a_clipped`).
    """

    source: ClassVar[str] = "Graves, Generating sequences with recurrent neural networks, 2013, section 2.1"

    name: Literal["adjoint"] = "adjoint"
    threshold: float = Field(
        default=1.0, gt=0, le=1e9, description="largest size of one entry of dL/da_t that is let through"
    )

    def in_scan(self) -> float | None:
        return self.threshold


def _rescaled(gradient: Scaled, factor: Tensor, whole: Tensor) -> Tensor:
    shape = (-1,) + (1,) * (gradient.mantissa.dim() - 1)
    mantissa = gradient.mantissa * factor.to(gradient.mantissa.dtype).reshape(shape)
    return Scaled(mantissa, gradient.exponent + whole.long()).plain()


CLIPS = table(NoClip, ClipNorm, ClipValue, ClipAdjoint)
