"""The distributions of random axes. A sample depends on the seed, its key and its number, and on nothing else."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

Draw = Callable[[np.random.Generator], Any]

# The difference of two larger numbers can overflow.
_LARGEST = 1e300


def sampled(draw: Draw, key: str, seed: int, samples: int) -> list[Any]:
    """The first samples of a key under a seed. Asking for more gives the same ones first."""
    purpose = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")
    streams = (np.random.SeedSequence(seed, spawn_key=(purpose, k)) for k in range(samples))
    return [draw(np.random.default_rng(stream)) for stream in streams]


def distribution(given: Any) -> Draw:
    """The draw that a mapping such as {log_uniform: [1e-4, 0.1]} describes. Raises ValueError with what is wrong."""
    name, numbers = next(iter(given.items())) if isinstance(given, dict) and len(given) == 1 else ("", None)
    if name not in EXAMPLES:
        raise ValueError(f"must be one distribution with its numbers, such as {{uniform: [0, 1]}}; there are {_NAMES}")
    if not isinstance(numbers, list) or not numbers:
        raise ValueError(f"{name} takes a list, such as {EXAMPLES[name]}")
    if name == "choice":
        return lambda rng: numbers[int(rng.integers(len(numbers)))]
    if len(numbers) != 2 or not all(map(_is_finite, numbers)):
        raise ValueError(f"{name} takes two numbers, such as {EXAMPLES[name]}")
    if max(map(abs, numbers)) > _LARGEST:
        raise ValueError(f"{name} takes numbers from -{_LARGEST:g} to {_LARGEST:g}")
    return DISTRIBUTIONS[name](*numbers)


def _is_finite(value: Any) -> bool:
    # math.isfinite raises OverflowError for an integer that no float can hold.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf


def _uniform(low: float, high: float) -> Draw:
    """Uniform between low and high."""
    _check_ordered(low, high)
    return lambda rng: _rounded(rng.uniform(low, high))


def _log_uniform(low: float, high: float) -> Draw:
    """Uniform in the logarithm between low and high."""
    _check_ordered(low, high)
    if low <= 0:
        raise ValueError("log_uniform needs bounds above 0")
    return lambda rng: min(max(_rounded(math.exp(rng.uniform(math.log(low), math.log(high)))), low), high)


def _integers(low: float, high: float) -> Draw:
    """Integers from low to high, both included, with equal probability."""
    _check_ordered(low, high)
    if low != int(low) or high != int(high):
        raise ValueError("integers needs whole numbers")
    return lambda rng: int(rng.integers(int(low), int(high) + 1))


def _normal(mean: float, sd: float) -> Draw:
    """Normal, with this mean and standard deviation."""
    if sd <= 0:
        raise ValueError("normal needs a standard deviation above 0")
    return lambda rng: _rounded(rng.normal(mean, sd))


def _check_ordered(low: float, high: float) -> None:
    if not low < high:
        raise ValueError(f"the first number must be below the second, and {low:g} is not below {high:g}")


def _rounded(value: float) -> float:
    """To six significant digits, so that a sample is short in names and files."""
    return float(f"{value:.6g}")


DISTRIBUTIONS: dict[str, Callable[..., Draw]] = {
    "uniform": _uniform,
    "log_uniform": _log_uniform,
    "integers": _integers,
    "normal": _normal,
}
EXAMPLES = {
    "uniform": "[0, 1]",
    "log_uniform": "[1e-4, 0.1]",
    "integers": "[10, 100]",
    "normal": "[0, 1]",
    "choice": "[a, b, c]",
}
_NAMES = ", ".join(EXAMPLES)
