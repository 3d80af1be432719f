"""A report on the terminal: for each comparison a table and the curves of its groups, then pairs, probes and notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from rnnlab.analysis.intervals import Paired
from rnnlab.compare.group import MeasuredGroup
from rnnlab.report.findings import Findings
from rnnlab.report.formatting import format_count, format_number, format_setting, format_signed, printable
from rnnlab.report.headings import label
from rnnlab.report.terminal.probe_comparison import probe_comparison
from rnnlab.report.terminal.strip import span, sparkline, sparkline_axis, strip

_PANELS = 12
"""Above this number of groups each gets a line instead of a panel."""
_WIDE_PANELS = 3
_NARROWEST = 24
_MOST_PAIRS = 12


def report(findings: Findings, width: int = 80, *, unicode: bool = True) -> RenderableType:
    """The whole report, for a terminal of this width."""
    parts: list[RenderableType] = [_opening(findings, unicode)]
    for _, groups in findings.comparisons:
        if shared := findings.shared_text(groups):
            parts.append(Text(printable(shared, unicode), style="bold"))
        parts += [_table(findings, groups, width, unicode), Text("")]
        parts += [_curves(findings, groups, width, unicode), Text("")]
    parts += [*_pairs(findings, unicode), *probe_comparison(findings, unicode), *_notes(findings, unicode)]
    return Lines(*parts)


def _opening(findings: Findings, unicode: bool) -> Text:
    groups = findings.groups
    by = f" by {', '.join(axis.key for axis in groups.axes)}" if groups.by else ""
    size = f"{format_count(len(groups.runs), 'run')} in {format_count(len(groups), 'group')}"
    line = f"{size}{by}, {findings.update_text()}"
    return Text(printable(line, unicode) + "\n")


def _table(findings: Findings, groups: Sequence[MeasuredGroup], width: int, unicode: bool) -> Table:
    titles, rows = findings.titles(), [findings.cells(group) for group in groups]
    shown = _columns_that_fit(titles, rows, len(findings.groups.axes), width)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in shown:
        left = column < len(findings.groups.axes)
        table.add_column(printable(titles[column], unicode), justify="left" if left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(row[column], unicode)) for column in shown))
    return table


def _columns_that_fit(titles: Sequence[str], rows: Sequence[Sequence[str]], keys: int, width: int) -> list[int]:
    """The columns that fit into the width. The least informative are dropped first, the keys and the rate never."""
    widths = [max(len(title), *(len(row[at]) for row in rows)) + 2 for at, title in enumerate(titles)]
    shown = list(range(len(titles)))
    for name in ("lag", "seeds", "clipped", "horizon", "success", "error"):
        if sum(widths[at] for at in shown) - 2 <= width:
            break
        shown = [at for at in shown if at < keys or titles[at] != name]
    return shown


def _curves(findings: Findings, groups: Sequence[MeasuredGroup], width: int, unicode: bool) -> RenderableType:
    different = findings.distinct
    drawn = [(label(group, different.axes), group.curve) for group in groups if group in different.groups]
    curves = [(printable(name, unicode), curve) for name, curve in drawn if curve is not None]
    if not curves:
        return Text("no gradient was recorded", style="dim")
    limits = span(*(curve.median for _, curve in curves))
    title = Text("median log10 |dL/dh_t| against lag", style="dim")
    if len(curves) > _PANELS:
        room = max(8, min(max(len(name) for name, _ in curves), width - _NARROWEST - 2))
        longest = max(int(curve.lags.max()) for _, curve in curves)
        scale = f"each line: 1e{limits[1]:g} at its top, 1e{limits[0]:g} at its foot, lag 0 to {longest}"
        lines = [
            f"{_cut(name, room):<{room}} "
            + sparkline(curve.lags, curve.median, width - room - 1, unicode=unicode, limits=limits, last=longest)
            for name, curve in curves
        ]
        axis = f"{'':<{room}} {sparkline_axis(longest, width - room - 1)}"
        return Lines(title, Text("\n".join([*lines, axis, scale]), no_wrap=True, overflow="crop"))
    two_columns = len(curves) > _WIDE_PANELS and width >= 2 * _NARROWEST + 2
    panel, height = ((width - 2) // 2, 5) if two_columns else (width, 6)
    panels = [
        Text(f"{_cut(name, panel)}\n" + strip(c.lags, c.median, panel, height, unicode=unicode, limits=limits))
        for name, c in curves
    ]
    for text in panels:
        text.no_wrap, text.overflow = True, "crop"
    if not two_columns:
        return Lines(title, *panels)
    grid = Table.grid(padding=(0, 2, 0, 0))
    for at in range(0, len(panels), 2):
        grid.add_row(*panels[at : at + 2])
    return Lines(title, grid)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 2] + ".."


def _pairs(findings: Findings, unicode: bool) -> Iterator[RenderableType]:
    # Below 3 shared seeds there is no interval, and the table shows the rest.
    known = [pair for pair in findings.pairs if pair.comparison.difference.low is not None]
    if not known:
        return
    differ = sum(pair.comparison.excludes_zero for pair in known)
    hint = "; one in 20 intervals misses by chance" if len(known) > 1 else ""
    yield Text(f"decay rates seed by seed: {differ} of {len(known)} pairs differ (95%, each by itself{hint})", "dim")
    ordered = sorted(known, key=lambda pair: -abs(pair.comparison.effect or 0))[:_MOST_PAIRS]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name, justify in (("", "left"), ("diff", "right"), ("95%", "right"), ("d", "right"), ("", "left")):
        table.add_column(name, justify="right" if justify == "right" else "left", overflow="fold")
    for pair in ordered:
        rest = ", ".join(format_setting(value) for value in pair.rest.values())
        names = f"{format_setting(pair.second)} less {format_setting(pair.first)}" + (f" ({rest})" if rest else "")
        difference = pair.comparison.difference
        assert difference.low is not None
        assert difference.high is not None
        ends = f"{format_signed(difference.low)} {format_signed(difference.high)}"
        table.add_row(
            Text(printable(names, unicode)),
            format_signed(difference.middle),
            ends,
            format_number(pair.comparison.effect, 2),
            _word(pair.comparison),
        )
    yield table
    if any(pair.comparison.excludes_zero and pair.comparison.overlap for pair in ordered):
        yield Text("* their own intervals overlap: it is the pairing by seed that tells them apart", "dim")
    if len(known) > len(ordered):
        yield Text(f"and {len(known) - len(ordered)} more in --json and --html", "dim")
    yield Text("")


def _word(comparison: Paired) -> str:
    return ("differ *" if comparison.overlap else "differ") if comparison.excludes_zero else "not told apart"


def _notes(findings: Findings, unicode: bool) -> Iterator[RenderableType]:
    for note in findings.notes():
        yield Text(f"- {printable(note, unicode)}")
