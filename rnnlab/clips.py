"""Gradient clipping: what is done to a replica's gradient between the backward scan and the update."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, field_validator

from rnnlab.parts import Part, Table, table

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from rnnlab.network.flat import Gradient

    Floats = NDArray[np.float64]


class Clip(Part):
    """A rule for what is done to the gradient between the backward pass and the update."""

    short: ClassVar[str] = ""
    """Its prefix in the name of a run, such as `clip` in `clip1`; empty: the name of the part."""
    counts: ClassVar[Literal["updates", "entries"] | None] = None
    """`clipped` is a share of these; None if the part never clips."""
    hints: ClassVar[Mapping[str, str]] = {"threshold": "`clip: none` leaves the gradient as it is"}

    def in_scan(self) -> float | None:
        """The elementwise bound on pre-activation gradients inside the backward scan, or None."""
        return None

    @classmethod
    def act(cls, clips: Sequence[Self], gradient: Gradient) -> tuple[Tensor, Floats]:
        """Clip a gradient: new rows [R, P] for the optimizer, and the clipped share of each replica [R].

        clips: one for each replica, all of this class.
        """
        return gradient.plain(), np.zeros(len(gradient.log2_norm))


class NoClip(Clip):
    """Leaves the gradient as it is.

    >>> import torch
    >>> from rnnlab.scan.scaled import Scaled
    >>> from rnnlab.network.flat import Gradient
    >>> gradient = Gradient([Scaled(torch.tensor([[3.0, 4.0]]), torch.tensor([0]))], width=2)
    >>> clip = NoClip()
    >>> clip.act([clip], gradient)
    (tensor([[3., 4.]]), array([0.]))
    """

    short: ClassVar[str] = "noclip"

    name: Literal["none"] = "none"


class ClipNorm(Clip):
    """Rescales the whole gradient of a replica when its L2 norm over all parameters exceeds the threshold.

    g <- g * threshold / ||g|| where ||g|| > threshold (torch's clip_grad_norm_ divides by ||g|| + 1e-6). The norm is
    known as mantissa and exponent, so a gradient of norm 1e60 is brought to the threshold in its true direction.

    >>> import torch
    >>> from rnnlab.scan.scaled import Scaled
    >>> from rnnlab.network.flat import Gradient
    >>> gradient = Gradient([Scaled(torch.tensor([[3.0, 4.0]]), torch.tensor([0]))], width=2)
    >>> clip = ClipNorm(threshold=1)
    >>> clip.act([clip], gradient)
    (tensor([[0.6000, 0.8000]]), array([1.]))
    """

    source: ClassVar[str] = (
        "Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013, arXiv:1211.5063"
    )
    short: ClassVar[str] = "clip"
    counts = "updates"

    name: Literal["norm"] = "norm"
    threshold: float = Field(
        default=1.0, gt=0, le=1e9, description="largest L2 norm over all parameters that is let through"
    )

    @classmethod
    def act(cls, clips: Sequence[Self], gradient: Gradient) -> tuple[Tensor, Floats]:
        log2_norm, level = gradient.log2_norm, np.array([math.log2(clip.threshold) for clip in clips])
        acts = log2_norm > level
        if not acts.any():
            return super().act(clips, gradient)
        # An infinite entry has no direction, and stays.
        bounded = acts & (log2_norm < np.inf)
        return gradient.plain(np.where(bounded, level - log2_norm, 0.0)), acts.astype(np.float64)


class ClipValue(Clip):
    """Clamps every entry of the gradient to [-threshold, threshold]; `clipped` is the share of entries clamped.

    >>> import torch
    >>> from rnnlab.scan.scaled import Scaled
    >>> from rnnlab.network.flat import Gradient
    >>> gradient = Gradient([Scaled(torch.tensor([[3.0, 4.0]]), torch.tensor([0]))], width=2)
    >>> clip = ClipValue(threshold=3.5)
    >>> clip.act([clip], gradient)
    (tensor([[3.0000, 3.5000]]), array([0.5]))
    """

    source: ClassVar[str] = (
        "Mikolov, Statistical language models based on neural networks, 2012, "
        "https://www.fit.vutbr.cz/~imikolov/rnnlm/thesis.pdf"
    )
    counts = "entries"

    name: Literal["value"] = "value"
    threshold: float = Field(
        default=1.0, gt=0, le=1e9, description="largest size of one gradient entry that is let through"
    )

    @classmethod
    def act(cls, clips: Sequence[Self], gradient: Gradient) -> tuple[Tensor, Floats]:
        plain = gradient.plain()
        limits = plain.new_tensor([[clip.threshold] for clip in clips])
        beyond = (plain.abs() > limits).sum(1).cpu().numpy()
        # An entry too large for the number format is known to be beyond the threshold; NaN stays NaN.
        return plain.clamp_(-limits, limits), beyond / gradient.count


class ClipAdjoint(Clip):
    """Clamps dL/da_t, the gradient of every gate's pre-activation, at each timestep inside the backward scan.

    What is clamped at t is what travels on to t-1, so the parameter gradient is no longer that of the loss, and neither
    are the rows of `h` and `c` in gradients.csv: they are of the clipped signal. The gradient is that of the batch-mean
    loss. `clipped` is the share of entries clamped; gradients.csv has dL/da_t before (state `a`) and after
    (`a_clipped`), and from a second pass without the clip the total gradients (`h_unclipped`, `c_unclipped`).

    >>> ClipAdjoint(threshold=0.1).in_scan()  # the bound that the backward scan takes
    0.1
    """

    source: ClassVar[str] = (
        "Graves, Generating sequences with recurrent neural networks, 2013, arXiv:1308.0850, section 2.1"
    )
    counts = "entries"

    name: Literal["adjoint"] = "adjoint"
    threshold: float = Field(
        default=1.0,
        gt=0,
        le=1e9,
        description="largest size of one entry of dL/da_t that is let through, at least 1e-30",
    )

    @field_validator("threshold")
    @classmethod
    def _is_a_number_of_float32(cls, threshold: float) -> float:
        if threshold < 1e-30:
            raise ValueError("below 1e-30 a float32 scan clamps everything to zero")
        return threshold

    def in_scan(self) -> float | None:
        return self.threshold


CLIPS: Table[Clip] = table(NoClip, ClipNorm, ClipValue, ClipAdjoint)
