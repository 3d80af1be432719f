"""Numbers for a page in few bytes, and curves with few points."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

# The codes of values that are not numbers; unpack.js has the same.
NOT_RECORDED, ZERO, UNDERFLOW, NOT_FINITE = -32768, -32767, -32766, -32765
_LARGEST_CODE = 32000


def pack_decades(values: ArrayLike, recorded: NDArray[np.bool_] | None = None) -> dict[str, Any]:
    """log10 norms as 16-bit numbers over the range that they have, within 1/64000 of it.

    Sentinel values (-inf zero, inf not finite, NaN underflow) have codes of their own.
    """
    x = np.asarray(values, np.float64)
    finite = np.isfinite(x)
    low, high = (float(x[finite].min()), float(x[finite].max())) if finite.any() else (0.0, 0.0)
    step = (high - low) / (2 * _LARGEST_CODE) or 1.0
    codes = np.zeros(x.shape, np.int16)
    codes[finite] = np.round((x[finite] - low) / step - _LARGEST_CODE).clip(-_LARGEST_CODE, _LARGEST_CODE)
    for code, chosen in ((ZERO, np.isneginf(x)), (UNDERFLOW, np.isnan(x)), (NOT_FINITE, np.isposinf(x))):
        codes[chosen] = code
    if recorded is not None:
        codes[~recorded] = NOT_RECORDED
    return {"shape": list(x.shape), "low": low, "step": step, "codes": _base64(codes.astype("<i2"))}


def pack_floats(values: ArrayLike) -> str:
    """Numbers as 32-bit floats; values that are not finite are kept."""
    with np.errstate(over="ignore"):
        return _base64(np.asarray(values, np.float64).astype("<f4"))


def _base64(values: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def evenly(count: int, most: int) -> Places:
    """At most `most` of `count` places, evenly spaced, with the first and the last."""
    return np.unique(np.linspace(0, count - 1, min(count, max(most, 2))).round().astype(np.int64))


def envelope(values: ArrayLike, most: int) -> Places:
    """The places that a curve of at most `most` points keeps: of each stretch the smallest and the largest value.

    The first and the last are always kept, and so is one place of a stretch without a finite value, so that a gap stays
    a gap. Details of the curve may be lost, its extremes never.
    """
    y = np.asarray(values, np.float64)
    if len(y) <= most:
        return np.arange(len(y))
    places = [0, len(y) - 1]
    edges = np.linspace(0, len(y), max(1, (most - 2) // 2) + 1).round().astype(int)
    for start, end in itertools.pairwise(edges.tolist()):
        piece = y[start:end]
        finite = np.flatnonzero(np.isfinite(piece))
        if finite.size:
            places += [start + finite[piece[finite].argmin()], start + finite[piece[finite].argmax()]]
        else:
            places.append(start)
    return np.unique(np.array(places, np.int64))
