"""What the probes of a run measured at its last measured update, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rich.table import Column, Table
from rich.text import Text

from rnnlab.errors import RnnlabError
from rnnlab.probes import PROBES, Probe, Series
from rnnlab.report.formatting import printable
from rnnlab.report.probe_sections import Place

if TYPE_CHECKING:
    from rnnlab.runs.run import Run

Line = tuple[str, str]


def probe_lines(run: Run, unicode: bool = True) -> Table | None:
    """A line for each thing that the run's probes say of themselves, under the probe's name; None where there is none.

    A probe that is not known here, as one that another program added, has none.
    """
    # Folded, because not every encoding has the ellipsis that rich would add.
    columns = [Column(overflow="fold") for _ in range(2)]
    table = Table(*columns, box=None, show_header=False, padding=(0, 3, 0, 0), pad_edge=False)
    try:
        which = run.settings.get("probe.which")
    except RnnlabError:
        # Why the config cannot be read is said elsewhere.
        return None
    for name in which if isinstance(which, list | tuple) else ():
        if (probe := PROBES.get(str(name))) is None:
            continue
        update, lines = _lines(run, probe)
        if lines:
            table.add_row(Text(f"{name}, update {update}", style="bold"), "")
        for line in lines:
            table.add_row(*(Text(printable(text, unicode)) for text in line))
    return table if table.row_count else None


def _lines(run: Run, probe: type[Probe]) -> tuple[int | None, list[Line]]:
    """The last update that the probe measured, and its lines."""
    try:
        by_figures = _figures(run, probe)
        by_tables = _tables(run, probe) if probe.table else (None, [])
    except RnnlabError:
        # What cannot be read of a run is said elsewhere.
        return None, []
    lines = []
    for each in probe.summary_lines():
        at_places = "at" in each.fields or each.fields & {column.name for column in probe.table}
        for label, values in by_tables[1] if at_places else [("", by_figures[1])]:
            if (text := each.filled(values)) is not None:
                lines.append((f"  {each.name}{label and f', {label}'}", text))
    updates = [update for update in (by_figures[0], by_tables[0]) if update is not None]
    return max(updates, default=None), lines


def _figures(run: Run, probe: type[Probe]) -> tuple[int | None, Mapping[str, float]]:
    """Its columns of metrics.csv in the last row that has any of them, and that row's update."""
    names = [column.name for column in probe.columns if column.name in run.metrics]
    rows = run.metrics.dropna(how="all", subset=names) if names else run.metrics[:0]
    if rows.empty:
        return None, {}
    last = rows.iloc[-1]
    return int(last["update"]), {name: float(last[name]) for name in names}


def _tables(run: Run, probe: type[Probe]) -> tuple[int | None, list[tuple[str, dict[str, Series]]]]:
    """For each layer and part, by quantity, what it wrote to probes.csv last; and that update."""
    if not run.dir.tables.exists():
        return None, []
    rows = run.tables[run.tables["probe"] == probe.key()]
    if rows.empty:
        return None, []
    update = int(rows["update"].max())
    return update, [*_of_parts(rows[rows["update"] == update])]


def _of_parts(rows) -> Iterator[tuple[str, dict[str, Series]]]:  # type: ignore[no-untyped-def]
    layers = rows["layer"].nunique()
    in_order = rows.fillna({"part": ""}).sort_values(["layer", "at"], kind="stable")
    for (layer, part), group in in_order.groupby(["layer", "part"], sort=False):
        label = Place(int(layer), str(part)).text(layers)
        values = {name: Series(each["value"].tolist()) for name, each in group.groupby("quantity", sort=False)}
        places = sorted({float(at) for at in group["at"] if not math.isnan(at)})
        yield label, {str(name): series for name, series in values.items()} | {"at": Series(places)}
