"""What all figures share: fonts, colours, dashes and markers, panels on a figure, its title and its legend."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rnnlab.report.figures.panels import Panel, Panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (2008): colours that colour-blind readers can distinguish; dashes and markers help in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#8A6D00")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)))
MARKERS = "osD^vP"
STYLE: Mapping[str, Any] = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 6.5,
    "legend.title_fontsize": 6.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    # Text in a PDF is TrueType and can be edited; in an SVG it is outlines, which need no font.
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    # The same data give the same bytes.
    "svg.hashsalt": "rnnlab",
    "savefig.dpi": 300,
    "figure.constrained_layout.use": True,
}
_ROW = 0.135
"""Inches: one line of the legend."""
_TITLE = 0.2
_PAGE = 8.6
_CHARACTER = 0.062
_HANDLE = 0.42


@contextmanager
def house_style() -> Iterator[None]:
    """matplotlib's settings for a figure."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        yield


def as_it_stands(text: str) -> str:
    r"""The text as matplotlib draws it character by character: between two dollar signs it would read a formula.

    >>> as_it_stands(r"$\frac{$")
    '\\$\\frac{\\$'
    """
    return text.replace("$", r"\$")


def cut(text: str, width: float) -> str:
    """As much of a text as has room in so many inches."""
    most = max(4, int(width / _CHARACTER))
    return text if len(text) <= most else f"{text[: most - 2]}.."


def look(panels: Panels, color: int, style: int) -> dict[str, Any]:
    """Colour and dashes of a line; where only colours say something, each has dashes of its own besides."""
    turn, place = divmod(color, len(COLOURS))
    dash = style if len(panels.styles) > 1 else place + turn
    return {"color": COLOURS[place], "linestyle": DASHES[dash % len(DASHES)]}


def marker(panels: Panels, color: int, style: int) -> str:
    """The marker of a point."""
    return MARKERS[(style if len(panels.styles) > 1 else color) % len(MARKERS)]


class Legend:
    """The legend of a figure: a block for colours and one for dashes, above the panels, as wide as the figure."""

    def __init__(self, panels: Panels, width: float, *, markers: bool = False) -> None:
        self.panels, self.width, self.markers = panels, width, markers
        self.blocks = panels.blocks()
        longest = max((len(text) for _, texts in self.blocks for text in texts), default=0)
        fitting = max(1, int(width / (longest * _CHARACTER + _HANDLE)))
        alone = min(4, fitting, max((len(texts) for _, texts in self.blocks), default=1))
        self.columns = alone if len(self.blocks) == 1 else min(fitting, len(self.blocks))

    @property
    def height(self) -> float:
        """Inches."""
        if not self.blocks:
            return 0.0
        counts = [len(texts) for _, texts in self.blocks]
        if len(self.blocks) == 1:
            return _ROW * (1 + math.ceil(counts[0] / self.columns)) + 0.05
        return _ROW * (1 + max(counts) if self.columns > 1 else len(counts) + sum(counts)) + 0.05

    def draw(self, figure: Figure, top: float) -> None:
        """Draw it below `top`, a share of the figure's height."""
        if not self.blocks:
            return
        room = self.width / self.columns - _HANDLE
        entries: list[tuple[Any, str]] = []
        for (title, texts), handles in zip(self.blocks, self._handles(), strict=True):
            block = [(handle, cut(text, room)) for handle, text in zip(handles, texts, strict=True)]
            entries += block if len(self.blocks) == 1 else [(_nothing(), cut(title, room)), *block]
            if self.columns > 1 and len(self.blocks) > 1:
                entries += [(_nothing(), "")] * (max(len(texts) for _, texts in self.blocks) - len(texts))
        legend = figure.legend(
            [handle for handle, _ in entries],
            [as_it_stands(text) for _, text in entries],
            loc="upper left",
            bbox_to_anchor=(0.04 / self.width, top),
            ncols=self.columns,
            title=as_it_stands(self.blocks[0][0]) if len(self.blocks) == 1 else None,
            alignment="left",
            handlelength=2.4,
            columnspacing=1.2,
            labelspacing=0.25,
            borderaxespad=0,
        )
        legend.set_in_layout(False)

    def _handles(self) -> Iterator[list[Any]]:
        from matplotlib.lines import Line2D

        panels = self.panels
        both = len(self.blocks) > 1
        for _, texts in self.blocks:
            of_colors = texts is panels.colors
            handles = []
            for at in range(len(texts)):
                shown = look(panels, at, 0) if of_colors else look(panels, 0, at) | {"color": "0.3"}
                shown |= {"linestyle": "-"} if of_colors and both else {}
                point = marker(panels, at if of_colors else 0, 0 if of_colors else at)
                show_point = self.markers and not (of_colors and both)
                handles.append(Line2D([], [], **shown, marker=point if show_point else None, markersize=3.5))
            yield handles


def _nothing() -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="none")


def height_of(panels: Panels, legend: Legend, width: float, title: str | None) -> float:
    """Inches: as high as is usual for one panel, flatter for many."""
    above = legend.height + (_TITLE if title else 0)
    if panels.rows * panels.columns == 1:
        return 2.2 + above if width < 5 else 3.2 + above
    each = min(1.7, max(1.0, 0.75 * width / panels.columns))
    # A figure is not higher than a page, as long as its panels can be read.
    return max(0.62, min(each, (_PAGE - above) / panels.rows)) * panels.rows + 0.35 + above


def panel_axes(
    figure: Figure, panels: Panels, legend: Legend, title: str | None, *, share_y: bool = True
) -> list[tuple[Panel, Axes]]:
    """The axes of each panel, with titles; the figure's own title and the legend are above them."""
    width, height = figure.get_size_inches()
    top = 1 - (_TITLE / height if title else 0)
    engine: Any = figure.get_layout_engine()
    engine.set(rect=(0, 0, 1, top - legend.height / height))
    if title:
        shown = cut(title, width * 0.85)
        figure.text(0.005, 1 - 0.04 / height, as_it_stands(shown), va="top", fontsize=8.5).set_in_layout(False)
    legend.draw(figure, top - 0.03 / height)
    grid = figure.subplots(panels.rows, panels.columns, squeeze=False, sharex="all", sharey="all" if share_y else False)
    # Of a panel's place its numbers and labels take a part.
    room = 0.8 * width / panels.columns
    drawn = []
    for panel in panels.panels:
        axes = grid[panel.row][panel.column]
        if panel.title:
            axes.set_title(as_it_stands(_wrapped(panel.title, room)), pad=3, fontsize=7 if room > 1 else 6)
        if panel.side:
            axes.annotate(
                as_it_stands(_wrapped(panel.side, height / panels.rows)),
                (1.03, 0.5),
                xycoords="axes fraction",
                rotation=-90,
                va="center",
                ha="left",
                fontsize=6.5,
                linespacing=1.0,
            )
        drawn.append((panel, axes))
    for axes in set(grid.flat) - {axes for _, axes in drawn}:
        axes.axis("off")
    _label_last_rows(grid, drawn)
    return drawn


def _wrapped(text: str, room: float) -> str:
    r"""A text in up to three lines of so many inches, broken at spaces and within names at underscores.

    >>> _wrapped("xavier_uniform 1", 0.6)
    'xavier_\nuniform 1'
    """
    breakable = text.replace("_", "_ ")
    lines = textwrap.wrap(breakable, max(8, int(room / _CHARACTER)), max_lines=3, placeholder=" ..")
    return "\n".join(line.replace("_ ", "_") for line in lines)


def _label_last_rows(grid: Any, drawn: Sequence[tuple[Panel, Axes]]) -> None:
    """The lowest panel of a column has numbers at its x axis, also where the last row has gaps."""
    for column in range(grid.shape[1]):
        filled = [axes for panel, axes in drawn if panel.column == column]
        if filled:
            filled[-1].tick_params(labelbottom=True)


def common_labels(figure: Figure, drawn: Sequence[tuple[Panel, Axes]], x: str, y: str) -> None:
    """The labels of the axes: of the one panel, or of all together."""
    if len(drawn) == 1:
        drawn[0][1].set_xlabel(x)
        drawn[0][1].set_ylabel(y)
        return
    engine: Any = figure.get_layout_engine()
    height, share = figure.get_size_inches()[1], engine.get()["rect"][3]
    figure.supxlabel(x, fontsize=8)
    # Beside the panels, and not beside the legend as well.
    fits = "$" in y or len(y) * _CHARACTER < share * height - 0.4
    figure.supylabel(y if fits else "\n".join(textwrap.wrap(y, 14)), fontsize=8, y=share / 2 + 0.15 / height)
