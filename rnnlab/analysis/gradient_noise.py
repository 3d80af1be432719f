"""The noise of a batch's gradient: how far its samples' gradients are from their mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnlab.logspace import log10_total

Array = NDArray[np.float64]


@dataclass(frozen=True)
class GradientNoise:
    """Of gradients g_b of B samples, of any size: log10 of their norms [..., B], and of that of their mean g [...].

    tr(Sigma) = sum_b |g_b - g|^2 / (B-1) and |G|^2 = |g|^2 - tr(Sigma) / B are without bias for samples that are drawn
    independently (McCandlish, Kaplan and Amodei 2018, arXiv:1812.06162, appendix A.1). All is nan for one sample.

    >>> noise = GradientNoise(log10_deviations=np.log10([1.0, 1.0]), log10_mean=np.log10(2.0))  # g_b = 1 and 3
    >>> print(noise.log10_spread.round(3), noise.signal.round(3), noise.scale.round(3))
    0.151 0.75 0.667
    """

    log10_deviations: Array
    """log10 |g_b - g|."""
    log10_mean: Array
    """log10 |g|."""

    @property
    def log10_spread(self) -> Array:
        """log10 of sqrt(tr(Sigma))."""
        B = self.log10_deviations.shape[-1]
        halved: float = 0.5 * np.log10(B - 1) if B > 1 else np.nan
        spread: Array = log10_total(self.log10_deviations) - halved
        return spread

    @property
    def signal(self) -> Array:
        """|G|^2 / |g|^2, the share of the batch's squared gradient that is no noise; below 0 where it all may be."""
        signal: Array = 1 - self._square_ratio / self.log10_deviations.shape[-1]
        return signal

    @property
    def scale(self) -> Array:
        """tr(Sigma) / |G|^2, in samples; nan where |G|^2 is not above 0."""
        signal = self.signal
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(signal > 0, self._square_ratio / signal, np.nan)

    @property
    def _square_ratio(self) -> Array:
        """tr(Sigma) / |g|^2."""
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(10 ** (2 * (self.log10_spread - self.log10_mean)))


def combined_cosine(cosines: Array, log10_norms: Array) -> Array:
    """The cosine [...] of two vectors from those of their P parts, [..., P], whose log10 norms are [2, ..., P].

    >>> round(float(combined_cosine(np.array([1.0, 0.0]), np.log10([[3.0, 4.0], [3.0, 4.0]]))), 3)
    0.36
    """
    with np.errstate(invalid="ignore"):
        weights = 10 ** (log10_norms - log10_total(log10_norms)[..., None]).sum(0)
    # A part that is zero has no cosine, and none is needed.
    return np.asarray(np.where(weights == 0, 0, cosines * weights).sum(-1))
