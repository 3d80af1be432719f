"""What probes measured in the groups of a report, for a terminal: their summary lines, with medians over the runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from rnnlab.compare.probe_series import WHOLE, ProbeSeries
from rnnlab.probes import PROBES, Series, SummaryLine
from rnnlab.report.findings import Findings
from rnnlab.report.formatting import printable
from rnnlab.report.headings import label
from rnnlab.report.probe_sections import Place, Section

_MOST_GROUPS = 12


def probe_comparison(findings: Findings, unicode: bool = True) -> Iterator[RenderableType]:
    """For each probe a table: a line for each thing that it says of itself, and each group."""
    labels = [label(group, findings.axes) for group in findings.measured]
    for section in findings.probes.sections:
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        for _ in range(3):
            table.add_column(overflow="fold")
        there = [number for number, series in enumerate(section.series) if series]
        by_name: dict[str, list[tuple[str, str]]] = {}
        for number in there[:_MOST_GROUPS]:
            for name, text in _lines(section, section.series[number]):
                by_name.setdefault(name, []).append((labels[number], text))
        for name, rows in by_name.items():
            for at, row in enumerate(rows):
                table.add_row(*(Text(printable(cell, unicode)) for cell in ("" if at else name, *row)))
        if not table.row_count:
            continue
        updates = {one.update for number in there for one in section.series[number]}
        yield Text(printable(f"{section.name}, {_span(updates)}, medians over runs", unicode), style="dim")
        yield table
        if len(there) > _MOST_GROUPS:
            yield Text(f"and {len(there) - _MOST_GROUPS} more groups in --json, --html and --figures", "dim")
        yield Text("")


def _span(updates: set[int]) -> str:
    low, high = min(updates), max(updates)
    return f"update {low:,}" if low == high else f"updates {low:,} to {high:,}"


def _lines(section: Section, series: Sequence[ProbeSeries]) -> Iterator[tuple[str, str]]:
    """The names and texts of a probe's summary lines; of a probe that is not known here each quantity's ends."""
    known = PROBES.get(section.name)
    summary = known.summary_lines() if known else tuple(_ends(chart.quantity) for chart in section.charts)
    for line in summary:
        places = dict.fromkeys(Place(one.layer, one.part) for one in series if one.quantity in line.fields)
        for place in places:
            of = [one for one in series if (one.layer, one.part) == (place.layer, place.part)]
            if (text := line.filled(_values(of, line.fields))) is not None:
                suffix = place.text(section.layers)
                yield f"{line.name}{suffix and f', {suffix}'}", text


def _ends(quantity: str) -> SummaryLine:
    name = quantity.replace("{", "").replace("}", "")
    return SummaryLine(quantity, f"{{{name}.first:.4g}} to {{{name}.last:.4g}}")


def _values(series: Sequence[ProbeSeries], names: Set[str]) -> dict[str, float | Series]:
    """What stands in a line: numbers of columns of metrics.csv, quantities in the order of their places, and these."""
    values, places = dict[str, float | Series](), set[int]()
    for one in series:
        if one.quantity in names:
            median = one.reading.median
            values[one.quantity] = float(median[-1]) if one.layer == WHOLE else Series(median.tolist())
            places.update(one.reading.x.tolist())
    return values | {"at": Series([float(place) for place in sorted(places)])}
