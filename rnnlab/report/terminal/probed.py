"""What probes measured without a training, for a terminal: figures over the draws, and tables in a few columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rnnlab.probes import PROBES
from rnnlab.report.formatting import format_count, format_number, printable

if TYPE_CHECKING:
    from rnnlab.probes import TableRows
    from rnnlab.training.probing import Probed

_MOST_PLACES = 6
"""Columns of a table, besides its names: lags, timesteps, ..."""


def probed(draws: Sequence[Probed], *, unicode: bool = True) -> RenderableType:
    """For each probe its figures, mean and standard deviation over the draws, and the means of its tables."""
    first, parts = draws[0], list[RenderableType]()
    for name in dict.fromkeys([*first.figures, *first.tables]):
        parts += [Text(name, style="bold"), Text(printable(PROBES[name].meaning(), unicode), style="dim")]
        if name in first.figures:
            parts.append(_figures(draws, name, unicode))
        if name in first.tables:
            parts += _tables(draws, name, unicode)
        parts.append(Text(""))
    count = format_count(len(draws), "draw")
    parts.append(Text(f"{count}, seed {first.seed} on" if len(draws) > 1 else f"seed {first.seed}", style="dim"))
    return Group(*parts)


def _figures(draws: Sequence[Probed], name: str, unicode: bool) -> Table:
    table, columns = _frame(), {column.name: column for column in PROBES[name].columns}
    between = "±" if unicode else "+-"
    for figure in draws[0].figures[name]:
        values = np.array([draw.figures[name][figure] for draw in draws])
        spread = f" {between} {format_number(float(values.std(ddof=1)))}" if len(values) > 1 else ""
        text = f"{format_number(float(values.mean()))}{spread}"
        about = columns[figure]
        table.add_row(figure, text, Text(printable(f"{about.unit}  {about.meaning}", unicode), style="dim"))
    return table


def _tables(draws: Sequence[Probed], name: str, unicode: bool) -> list[RenderableType]:
    """What is measured at several places, and what is one number a layer and part."""
    by_places: dict[bool, list[TableRows]] = {True: [], False: []}
    for rows in draws[0].tables[name]:
        by_places[len(rows.at) > 1].append(rows)
    tables = (_table(draws, name, by_places[True], unicode), _without_places(draws, name, by_places[False]))
    return [table for table in tables if table.row_count]


def _table(draws: Sequence[Probed], name: str, tables: Sequence[TableRows], unicode: bool) -> Table:
    table, count = _frame(), PROBES[name].at
    shape = None
    for rows in tables:
        chosen = _chosen(len(rows.at))
        places = [str(rows.at[k]) for k in chosen]
        if places != shape:
            shape = places
            heading = [count or "lag", "", *places]
            table.add_row(*(Text(printable(cell, unicode), style="dim") for cell in heading))
        for quantity, values in _means(draws, name, rows):
            cells = [format_number(float(values[k])) for k in chosen]
            table.add_row(_label(rows), quantity, *cells)
    return table


def _without_places(draws: Sequence[Probed], name: str, tables: Sequence[TableRows]) -> Table:
    """A column for each quantity."""
    table, heading = _frame(), list[str]()
    for rows in tables:
        means = dict(_means(draws, name, rows))
        if [*means] != heading:
            heading = [*means]
            table.add_row("", *(Text(quantity, style="dim") for quantity in heading))
        table.add_row(_label(rows), *(format_number(float(values[0])) for values in means.values()))
    return table


def _means(draws: Sequence[Probed], name: str, rows: TableRows) -> Iterator[tuple[str, np.ndarray]]:
    """Each quantity's mean over the draws, at the places that the first draw has."""
    alike = [
        other
        for draw in draws
        for other in draw.tables[name]
        if (other.layer, other.part, list(other.at)) == (rows.layer, rows.part, list(rows.at))
    ]
    for quantity in rows.values:
        with np.errstate(invalid="ignore"):
            yield quantity, np.mean([np.asarray(other.values[quantity]) for other in alike], 0)


def _label(rows: TableRows) -> str:
    return f"layer {rows.layer}{f' {rows.part}' if rows.part else ''}"


def _chosen(count: int) -> list[int]:
    """At most _MOST_PLACES places of so many, the first and the last among them."""
    return sorted({*np.linspace(0, count - 1, min(count, _MOST_PLACES)).round().astype(int).tolist()})


def _frame() -> Table:
    return Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
