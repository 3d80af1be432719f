"""Laws of a clip."""

from __future__ import annotations

import math

import torch

from rnnlab.clips import Clip
from rnnlab.network.flat import Floats, Gradient, Layout
from rnnlab.scan.scaled import Scaled
from rnnlab.testing.check_parts import check_part
from rnnlab.testing.laws import bits, law, made, random_state_untouched

SHAPES = ((5, 7), (1,), (33,), (4, 2))
"""Of the parameters of one replica."""
POWERS = ((0, 0, 0, 0), (0, 5, 200, -200), (-3000, 3000, 0, 1))
"""log2 of how large the gradients of four replicas are."""


def check_clip(clip: Clip | type[Clip]) -> None:
    """Raise AssertionError unless a clip keeps the laws of clips.

    Those of every part; rows keep shape and dtype, and their padding stays 0; the share is within 0 and 1; the
    gradient that is given does not change; a replica of a fleet gets, to the bit, what it would get alone, whatever
    happens to the others; a gradient of 0 stays 0, and NaN stays NaN.
    """
    check_part(clip)
    built = made(clip)
    for dtype in (torch.float32, torch.float64):
        for powers in POWERS:
            _check_replicas(built, _drawn(powers, dtype))
    gradients = _drawn((0,), torch.float64)
    gradients[0].mantissa[0, 2, 3] = math.nan
    rows, _ = _clipped(built, gradients)
    law(rows[0, 2 * 7 + 3].isnan(), "an entry that is NaN stays NaN")
    rows, share = _clipped(built, [Scaled(torch.zeros(2, 3), torch.tensor([0, 700]))])
    law(not rows.any(), "a gradient of zero stays zero", rows)
    law(math.isfinite(share.sum()), "the share that was clipped of a gradient of zero is a number", share)


def _drawn(powers: tuple[int, ...], dtype: torch.dtype) -> list[Scaled]:
    """A gradient for every parameter: each replica's is 2^power times normal numbers."""
    rng = torch.Generator().manual_seed(0)
    exponents = torch.tensor(powers)
    return [Scaled(torch.randn(len(powers), *shape, generator=rng, dtype=dtype), exponents) for shape in SHAPES]


def _clipped(clip: Clip, gradients: list[Scaled]) -> tuple[torch.Tensor, Floats]:
    """The rows and the share, with the laws of any one call."""
    layout = Layout({str(k): part.mantissa.shape[1:] for k, part in enumerate(gradients)})
    gradient = Gradient(gradients, layout.width)
    replicas, dtype = len(gradient.log2_norm), gradients[0].mantissa.dtype
    before = [(bits(part.mantissa), bits(part.exponent)) for part in gradients]
    with random_state_untouched("a clip"):
        rows, share = clip.act([clip] * replicas, gradient)
    after = [(bits(part.mantissa), bits(part.exponent)) for part in gradients]
    law(before == after, "the gradient that is given does not change")
    law(rows.shape == (replicas, layout.width), "rows are [R, P]: gradient.plain(...) makes them", tuple(rows.shape))
    law(rows.dtype == dtype, f"rows keep their dtype, {dtype}", rows.dtype)
    # What is made of a gradient that is not finite is for no update.
    finite = torch.from_numpy(gradient.log2_norm < math.inf)
    law(not rows[finite, layout.count :].any(), "the padding of a row stays 0")
    law(share.shape == (replicas,), "the clipped share is one number for each replica [R]", share.shape)
    law(((share >= 0) & (share <= 1)).all(), "the clipped share is within 0 and 1", share)
    return rows, share


def _check_replicas(clip: Clip, gradients: list[Scaled]) -> None:
    gradients[0].mantissa[0] *= 1e-30
    gradients[1].mantissa[3, 0] = math.nan
    rows, shares = _clipped(clip, gradients)
    for r in range(len(rows)):
        alone, share = _clipped(clip, [Scaled(m[r : r + 1].clone(), e[r : r + 1]) for m, e in gradients])
        same = torch.allclose(rows[r : r + 1], alone, rtol=0, atol=0, equal_nan=True)
        law(same, "replicas do not meet: each gets, to the bit, the gradient that it would get alone")
        law(
            shares[r] == share[0],
            "replicas do not meet: each gets the share that it would get alone",
            (shares[r], share),
        )
