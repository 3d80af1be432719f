"""A curve of log10 norm against lag, drawn with characters."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bits = NDArray[np.int64]

# A braille cell holds 2 x 4 dots; its code is the sum of theirs.
_BRAILLE: Bits = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
# Without Unicode a cell holds an upper and a lower dot.
_ASCII: Bits = np.array([[1], [2]])
_ASCII_CELLS = " '.:"

LETTERS = {"0": "exactly zero", "u": "underflow", "!": "not finite"}
"""What stands on the axis where a curve has no number."""


def strip(
    lag: ArrayLike,
    log10_norm: ArrayLike,
    width: int = 80,
    height: int = 8,
    *,
    unicode: bool = True,
    limits: tuple[float, float] | None = None,
) -> str:
    """The curve as lines of at most `width` characters: `height` rows of plot, the lag axis, and its legend if needed.

    `log10_norm` has sentinel values: -inf zero, inf not finite, NaN underflow. Such a point leaves a gap
    in the curve and a letter on the axis. `limits` are the values at the bottom and at the top, so that several curves
    are drawn alike.
    """
    x, y = np.asarray(lag, np.float64), np.asarray(log10_norm, np.float64)
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    low, high = limits or span(y)
    rows = height if np.isfinite(y).any() else 0
    labels = _value_labels(low, high, rows)
    margin = max(map(len, labels), default=0)
    columns = max(4, width - margin - 2)
    edge, corner = ("│", "└") if unicode else ("|", "+")
    tick = "┤" if unicode else "+"
    plot = _draw(x, y, low, high, rows, columns, unicode)
    lines = [f"{label:>{margin}} {tick if label else edge}{row}" for label, row in zip(labels, plot, strict=True)]
    axis, numbers = _lag_axis(x, y, columns, unicode)
    lines += [f"{'':{margin}} {corner}{axis}", f"{'':{margin}}  {numbers}", *_legend(axis, margin, width)]
    return "\n".join(line.rstrip()[:width] for line in lines)


def sparkline(
    lag: ArrayLike,
    log10_norm: ArrayLike,
    width: int,
    *,
    unicode: bool = True,
    limits: tuple[float, float] | None = None,
    last: float | None = None,
) -> str:
    """The curve on one line of at most `width` characters, up to lag `last`; sentinel values leave a gap."""
    x, y = np.asarray(lag, np.float64), np.asarray(log10_norm, np.float64)
    low, high = limits or span(y)
    share = 1.0 if not last else float(x.max()) / last
    (line,) = _draw(x, y, low, high, 1, max(1, round(width * share)), unicode)
    return line.rstrip()


def sparkline_axis(last: int, width: int) -> str:
    """The line under sparklines: the first lag, the word `lag`, the last lag."""
    return "0" + f"lag {last}".rjust(max(0, width - 1))


def span(*curves: ArrayLike) -> tuple[float, float]:
    """Whole decades around the finite points of all curves, at least two, so that a flat curve looks flat."""
    values = np.concatenate([np.asarray(curve, np.float64).ravel() for curve in curves])
    values = values[np.isfinite(values)]
    if not values.size:
        return -1.0, 1.0
    low, high = math.floor(values.min()), math.ceil(values.max())
    return (low, high) if high - low >= 2 else (low - 1, high + 1 if high == low else high)


def _draw(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    low: float,
    high: float,
    rows: int,
    columns: int,
    unicode: bool,
) -> list[str]:
    dots = _BRAILLE if unicode else _ASCII
    height, width = dots.shape
    canvas = np.zeros((rows * height, columns * width), bool)
    across = _places(x, columns * width)
    with np.errstate(invalid="ignore"):
        down = (high - y) / (high - low) * (rows * height - 1)
    for at in np.flatnonzero((y >= low) & (y <= high)):
        canvas[round(down[at]), across[at]] = True
        if at and np.isfinite(y[at - 1]):
            steps = int(max(abs(across[at] - across[at - 1]), abs(down[at] - down[at - 1]))) + 2
            line = np.linspace(down[at - 1], down[at], steps).round().astype(int).clip(0, len(canvas) - 1)
            canvas[line, np.linspace(across[at - 1], across[at], steps).round().astype(int)] = True
    cells = canvas.reshape(rows, height, columns, width).transpose(0, 2, 1, 3)
    return ["".join(map(_glyph(unicode), row)) for row in (cells * dots).sum((2, 3)).tolist()]


def _glyph(unicode: bool) -> Callable[[int], str]:
    return (lambda code: chr(0x2800 + code) if code else " ") if unicode else _ASCII_CELLS.__getitem__


def _places(x: NDArray[np.float64], places: int) -> Bits:
    """The place of each lag among so many, from the first lag on the first to the last lag on the last."""
    length = np.ptp(x) if x.size else 0.0
    return np.zeros(len(x), int) if not length else np.round((x - x[0]) / length * (places - 1)).astype(int)


def round_step(length: float, most: int) -> int:
    """The smallest of 1, 2, 5, 10, 20, ... that divides the length into at most so many parts."""
    sizes = itertools.accumulate(itertools.cycle((2.0, 2.5, 2.0)), operator.mul, initial=1.0)
    return next(int(size) for size in sizes if length / size <= most)


def _value_labels(low: float, high: float, rows: int) -> list[str]:
    labels = [""] * rows
    step = round_step(high - low, max(1, rows // 2))
    for value in range(math.ceil(low / step) * step, math.floor(high) + 1, step) if rows else ():
        labels[round((high - value) / (high - low) * (rows - 1))] = str(value)
    return labels


def _lag_axis(x: NDArray[np.float64], y: NDArray[np.float64], columns: int, unicode: bool) -> tuple[str, str]:
    """The line under the plot, with ticks and letters, and the numbers under it."""
    rule, tick = ("─", "┬") if unicode else ("-", "+")
    axis, numbers = [rule] * columns, [" "] * columns
    for at, place in _ticks(x, columns):
        axis[place] = tick
        text = f"{at:g}"
        start = min(max(0, place - len(text) // 2), columns - len(text))
        numbers[start : start + len(text)] = text
    for letter, points in zip(LETTERS, (np.isneginf(y), np.isnan(y), np.isposinf(y)), strict=True):
        for place in set(_places(x, columns)[points].tolist()):
            axis[place] = letter
    return "".join(axis), _with_axis_name("".join(numbers))


def _ticks(x: NDArray[np.float64], columns: int) -> Iterator[tuple[float, int]]:
    """Round lags and the last lag, each with its column, so far apart that their numbers do not touch."""
    if not x.size:
        return
    first, last = float(x[0]), float(x[-1])
    room = max(len(f"{last:g}") + 3, 8)
    step = round_step(last - first, max(1, columns // max(room, 10)))
    for at in np.arange(math.ceil(first / step) * step, last, step):
        place = round((float(at) - first) / (last - first) * (columns - 1))
        if place <= columns - 1 - room:
            yield float(at), place
    yield last, columns - 1 if last > first else 0


def _with_axis_name(numbers: str) -> str:
    """The numbers with the word `lag` before the last of them, where there is room."""
    *_, last = numbers.split() or [""]
    before = numbers[: len(numbers.rstrip()) - len(last)]
    free = len(before) - len(before.rstrip())
    place = len(before.rstrip()) + (free - 3) // 2
    return numbers[:place] + "lag" + numbers[place + 3 :] if free >= 6 else numbers


def _legend(axis: str, margin: int, width: int) -> list[str]:
    meanings = [f"{letter} {meaning}" for letter, meaning in LETTERS.items() if letter in axis]
    return [" " * (margin + 2) + ", ".join(meanings)] if meanings else []
