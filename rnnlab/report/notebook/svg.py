"""Curves of log10 norm against lag as SVG, for light and dark notebooks.

Axes and texts have the colour of the text around them. The points have sentinel values: -inf zero, inf not finite, NaN
underflow. They leave a gap in the curve, and the letter of the terminal's strip on the axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnlab.report.notebook.fragments import Html, escape
from rnnlab.report.page.encoding import envelope
from rnnlab.report.terminal.strip import LETTERS, round_step, span

COLOURS = ("#3a86c8", "#c8643c")
"""Of the first curve and of the second: a contrast of 3 and more with white and with a dark notebook's #111111."""
_LEFT, _BOTTOM, _TOP, _LEGEND = 44, 30, 8, 16
_MOST_POINTS = 400
_DECADES_APART, _LAGS_APART = 22, 60
"""Pixels between two numbers of an axis, at least."""


@dataclass(frozen=True)
class Line:
    """One curve: its lags, log10 norms, and what it is called in the legend.

    >>> Line.of([2, 1, 0], [-0.2, -0.1, 0.0]).log10_norm.tolist()
    [0.0, -0.1, -0.2]
    """

    lag: NDArray[np.float64]
    log10_norm: NDArray[np.float64]
    name: str = ""

    @classmethod
    def of(cls, lag: ArrayLike, log10_norm: ArrayLike, name: str = "") -> Line:
        """The curve in the order of its lags; of a long one its extremes."""
        x, y = np.asarray(lag, np.float64), np.asarray(log10_norm, np.float64)
        order = np.argsort(x, kind="stable")
        kept = order[envelope(y[order], _MOST_POINTS)]
        return cls(x[kept], y[kept], name)


@dataclass(frozen=True)
class Scale:
    """From lags and decades to pixels of a plot whose upper left corner is at (left, top).

    >>> scale = Scale((0, 50), (-2, 0), left=40, top=10, width=100, height=80)
    >>> scale.x(25), scale.y(-1)
    (90.0, 50.0)
    """

    lags: tuple[float, float]
    decades: tuple[float, float]
    left: float
    top: float
    width: float
    height: float

    def x(self, lag: float) -> float:
        first, last = self.lags
        return self.left + (self.width * (lag - first) / (last - first) if last > first else 0.0)

    def y(self, log10_norm: float) -> float:
        low, high = self.decades
        return self.top + self.height * (high - log10_norm) / (high - low)


def strip_svg(lines: Sequence[Line], about: str, width: int = 560, height: int = 170) -> str:
    """The curves with their axes and, of several, a legend; `about` says in words what is drawn."""
    top = _TOP + (_LEGEND if len(lines) > 1 else 0)
    scale = _scale(lines, _LEFT, top, width - _LEFT - 12, height - top - _BOTTOM)
    parts = [*_axes(scale), *_curves(lines, scale), *_letters(lines, scale), *_legend(lines, scale)]
    return _element(parts, about, width, height)


def sparklines(lines: Iterable[Line | None], width: int = 110) -> list[Html]:
    """Each curve alone, a line of text high, between the same decades and up to the same lag; nothing for None."""
    known = list(lines)
    drawn = [line for line in known if line is not None and line.lag.size]
    limits = _limits(drawn)
    last = max((float(line.lag.max()) for line in drawn), default=0.0)
    scale = Scale((0, last), limits, 1, 1, width - 2, 18)
    about = f"log10 norm from {limits[1]:g} down to {limits[0]:g}, lag 0 to {last:g}"
    return [Html("" if line is None else _element(list(_curves([line], scale)), about, width, 20)) for line in known]


def _limits(lines: Sequence[Line]) -> tuple[float, float]:
    """Whole decades around the finite points of all curves."""
    return span(*(line.log10_norm for line in lines)) if lines else (-1.0, 1.0)


def _scale(lines: Sequence[Line], left: float, top: float, width: float, height: float) -> Scale:
    lags = np.concatenate([line.lag for line in lines] or [np.zeros(1)])
    first, last = (float(lags.min()), float(lags.max())) if lags.size else (0.0, 0.0)
    return Scale((first, last), _limits(lines), left, top, width, height)


def _element(parts: Sequence[str], about: str, width: int, height: int) -> str:
    style = f"max-width:100%;height:auto;width:{width}px;overflow:visible;vertical-align:middle"
    head = f'<svg role="img" viewBox="0 0 {width} {height}" width="{width}" height="{height}" style="{style}"'
    return f'{head} xmlns="http://www.w3.org/2000/svg"><title>{escape(about)}</title>{"".join(parts)}</svg>'


def _axes(scale: Scale) -> Iterator[str]:
    low, high = scale.decades
    first, last = scale.lags
    bottom, right = scale.top + scale.height, scale.left + scale.width
    path = f"M{scale.left:g} {scale.top:g}V{bottom:g}H{right:g}"
    yield f'<path d="{path}" fill="none" stroke="currentColor" opacity="0.5"/>'
    for value in _round_values(low, high, scale.height / _DECADES_APART):
        yield _tick_line(scale.left, scale.y(value), right)
        yield _text(scale.left - 5, scale.y(value) + 4, f"{value:g}", "end")
    for value in _round_values(first, last, scale.width / _LAGS_APART):
        yield _text(scale.x(value), bottom + 14, f"{value:g}", "middle")
    yield _text(right, bottom + 27, "lag (timesteps)", "end")


def _tick_line(left: float, y: float, right: float) -> str:
    return f'<path d="M{left:g} {y:.1f}H{right:g}" stroke="currentColor" opacity="0.12"/>'


def _round_values(low: float, high: float, most: float) -> Iterator[float]:
    """Whole multiples of 1, 2, 5, 10, ... between the two, so many at most."""
    step = round_step(high - low, max(1, int(most)))
    yield from (float(value) for value in range(math.ceil(low / step) * step, math.floor(high) + 1, step))


def _curves(lines: Sequence[Line], scale: Scale) -> Iterator[str]:
    for at, line in enumerate(lines):
        for x, y in _pieces(line):
            points = [f"{scale.x(a):.1f},{scale.y(b):.1f}" for a, b in zip(x, y, strict=True)]
            # A piece of one point is a dot: the line ends in a round cap.
            path = f"M{points[0]}L{' '.join(points[1:] or points)}"
            yield f'<path d="{path}" {_look(at)}/>'


def _pieces(line: Line) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The pieces of a curve without a gap."""
    finite = np.isfinite(line.log10_norm)
    edges = np.flatnonzero(np.diff(finite.astype(int))) + 1
    for part in np.split(np.arange(len(finite)), edges):
        if part.size and finite[part[0]]:
            yield line.lag[part], line.log10_norm[part]


def _letters(lines: Sequence[Line], scale: Scale) -> Iterator[str]:
    """A letter on the axis where a stretch of points without a number begins, and what the letters mean."""
    used: dict[str, None] = {}
    for line in lines:
        y = line.log10_norm
        for letter, points in zip(LETTERS, (np.isneginf(y), np.isnan(y), np.isposinf(y)), strict=True):
            for at in np.flatnonzero(points & ~np.concatenate([[False], points[:-1]])):
                used[letter] = None
                yield _text(scale.x(float(line.lag[at])), scale.top + scale.height - 3, letter, "middle")
    if used:
        meanings = ", ".join(f"{letter} {LETTERS[letter]} from here on" for letter in used)
        yield _text(scale.left, scale.top + scale.height + 27, meanings, "start")


def _legend(lines: Sequence[Line], scale: Scale) -> Iterator[str]:
    """Above the plot, where no curve is."""
    for at, line in enumerate(lines if len(lines) > 1 else ()):
        left = scale.left + at * scale.width / len(lines)
        yield f'<path d="M{left:g} 8H{left + 22:g}" {_look(at)}/>'
        yield _text(left + 28, 12, line.name, "start")


def _look(at: int) -> str:
    """The look of the curve at this place: every other one is dashed, for readers who see no colours."""
    dash = ' stroke-dasharray="5 3"' if at % len(COLOURS) else ""
    return f'fill="none" stroke="{COLOURS[at % len(COLOURS)]}" stroke-width="1.6" stroke-linecap="round"{dash}'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    look = 'font-size="11" font-family="sans-serif" fill="currentColor" opacity="0.8"'
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {look}>{escape(text)}</text>'
