"""Numbers for a page in few bytes, and curves in few points."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

# The codes of what is no number; page/unpack.js has the same.
NOTHING, ZERO, UNDERFLOW, NOT_FINITE = -32768, -32767, -32766, -32765
_REACH = 32000


def pack_decades(values: ArrayLike, there: NDArray[np.bool_] | None = None) -> dict[str, Any]:
    """log10 norms as 16-bit numbers over the range that they have, within 1/64000 of it.

    The sentinel values of a frame (-inf zero, inf not finite, NaN underflow) have codes of their own.
    """
    x = np.asarray(values, np.float64)
    finite = np.isfinite(x)
    low, high = (float(x[finite].min()), float(x[finite].max())) if finite.any() else (0.0, 0.0)
    step = (high - low) / (2 * _REACH) or 1.0
    codes = np.zeros(x.shape, np.int16)
    codes[finite] = np.round((x[finite] - low) / step - _REACH).clip(-_REACH, _REACH)
    for code, mark in ((ZERO, np.isneginf(x)), (UNDERFLOW, np.isnan(x)), (NOT_FINITE, np.isposinf(x))):
        codes[mark] = code
    if there is not None:
        codes[~there] = NOTHING
    return {"shape": list(x.shape), "low": low, "step": step, "codes": _base64(codes.astype("<i2"))}


def pack_floats(values: ArrayLike) -> str:
    """Numbers as 32-bit floats; what is not finite stays so."""
    with np.errstate(over="ignore"):
        return _base64(np.asarray(values, np.float64).astype("<f4"))


def _base64(values: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def evenly(count: int, most: int) -> Places:
    """At most so many places out of `count`, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, max(most, 2))).round().astype(np.int64))


def envelope(values: ArrayLike, most: int) -> Places:
    """The places that a curve of at most so many points keeps: of each stretch its smallest and its largest value.

    The first and the last are always kept, and so is one place of a stretch without a finite value, so that a gap stays
    a gap. What the curve does in between may be lost; how far it goes never is.
    """
    y = np.asarray(values, np.float64)
    if len(y) <= most:
        return np.arange(len(y))
    kept = [0, len(y) - 1]
    edges = np.linspace(0, len(y), max(1, (most - 2) // 2) + 1).round().astype(int)
    for start, end in itertools.pairwise(edges.tolist()):
        piece = y[start:end]
        finite = np.flatnonzero(np.isfinite(piece))
        if finite.size:
            kept += [start + finite[piece[finite].argmin()], start + finite[piece[finite].argmax()]]
        else:
            kept.append(start)
    return np.unique(np.array(kept, np.int64))
