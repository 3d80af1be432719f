"""What theory says of the measurement: closed forms, each with its source.

Rates are per timestep; `decades` are log10 of a norm, nats its natural logarithm.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_NODES = 200


def mean_field_variance(weight_variance: float, input_variance: float) -> float:
    """q*, the variance of a pre-activation of a wide tanh RNN under white input: its fixed point.

    q* = g^2 E[tanh(sqrt(q*) z)^2] + s^2, z standard normal; g^2 = N Var(W_hh), the weight variance times the width, and
    s^2 the variance that the input and the bias add to a pre-activation. Poole et al. 2016, arXiv:1606.05340; for
    recurrent networks Chen, Pennington and Schoenholz 2018, arXiv:1806.05394.

    >>> round(mean_field_variance(1.0, 1.0), 3)
    1.464
    """
    q = max(input_variance, 1e-300) + weight_variance
    for _ in range(10_000):
        after = weight_variance * _gaussian_mean(lambda a: np.tanh(a) ** 2, q) + input_variance
        if abs(after - q) <= 1e-14 * q:
            break
        q = after
    return float(q)


def mean_field_chi(weight_variance: float, input_variance: float) -> float:
    """chi_1 = g^2 E[tanh'(sqrt(q*) z)^2]: what the mean square of the adjoint is multiplied by at each timestep.

    Sources as `mean_field_variance`.
    """
    q = mean_field_variance(weight_variance, input_variance)
    return weight_variance * _gaussian_mean(lambda a: (1 - np.tanh(a) ** 2) ** 2, q)


def mean_field_slope(weight_variance: float, input_variance: float) -> float:
    """log10(chi_1) / 2, in decades a timestep: the slope of log10 ||dL/dh_t|| against lag that mean field predicts."""
    return math.log10(mean_field_chi(weight_variance, input_variance)) / 2


def power_decay(rho: float, lag: ArrayLike) -> Array:
    """log10 of rho^lag, the gradient of a linear recurrence rho Q with orthogonal Q against lag."""
    return np.asarray(lag, np.float64) * math.log10(rho)


def vanishing_bound(largest_slope: float) -> float:
    """1 / gamma: the gradient of an RNN vanishes for certain where sigma_max(W_hh) is below it.

    gamma is the largest slope of the nonlinearity, 1 for tanh and 1/4 for the sigmoid. Pascanu, Mikolov and Bengio
    2013, arXiv:1211.5063.

    >>> vanishing_bound(0.25)
    4.0
    """
    return 1 / largest_slope


def curse_of_memory(rho: float) -> float:
    """E[(dh_t/d rho)^2] = (1 + rho^2) / (1 - rho^2)^3 of h_t = rho h_{t-1} + x_t with white x of variance 1.

    It grows as (1 - rho)^-3 though the adjoint rho^lag does not explode. Zucchet and Orvieto 2024, arXiv:2405.21064.

    >>> round(curse_of_memory(0.9), 2)
    263.89
    """
    return (1 + rho**2) / (1 - rho**2) ** 3


def diagonal_rate(diagonal: ArrayLike) -> float:
    """The mean of log10 |d_i| over the entries of a diagonal recurrence, in decades a timestep."""
    with np.errstate(divide="ignore"):
        return float(np.mean(np.log10(np.abs(np.asarray(diagonal)))))


def _gaussian_mean(f, variance: float) -> float:  # type: ignore[no-untyped-def]
    """E f(a) of a normal with this variance, by the trapezoidal rule, which converges exponentially there."""
    z = np.linspace(-12, 12, 40 * _NODES + 1)
    weights = np.exp(-(z**2) / 2)
    return float(np.sum(weights * f(math.sqrt(variance) * z)) / np.sum(weights))
