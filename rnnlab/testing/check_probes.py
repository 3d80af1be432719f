"""Laws of a probe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from rnnlab.config import Config, load_config
from rnnlab.gradients.readings import Curve
from rnnlab.gradients.view import UpdateView
from rnnlab.probes import PROBES, Figures, Measured, Probe, TableRows
from rnnlab.runs.columns import GRADIENTS, METRICS, PENALTY
from rnnlab.testing.check_parts import check_part
from rnnlab.testing.laws import bits, law, made, random_state_untouched
from rnnlab.training.fleet import Fleet

SETTINGS = {
    "task": {"name": "addition", "length": 12},
    "model": {"hidden": 4, "layers": 2},
    "train": {"batch": 3, "scan": "general"},
    "probe": {"which": []},
    "device": "cpu",
}


def check_probe(probe: Probe | type[Probe]) -> None:
    """Raise AssertionError unless a probe keeps the laws of probes.

    Those of every part; its columns have names that no other probe of rnnlab and no column of the files has; on a small
    network it measures those columns and no other, a number [R] each; it writes as many rows of gradients.csv as
    `gradient_rows` says; nothing that it is shown changes, and no random state moves; a replica's figures are those
    that it would have alone.
    """
    check_part(probe)
    built = made(probe)
    _check_columns(built)
    config = load_config(SETTINGS)
    together = _measured(built, config.seeded(0, 1, 2))
    for r in range(3):
        alone = _measured(built, config.seeded(r))
        for name, values in together.items():
            law(
                np.allclose(values[r], alone[name][0], rtol=1e-6, equal_nan=True),
                f"replicas do not meet: the {name} of each is what it would be alone",
                (values[r], alone[name][0]),
            )


def _check_columns(probe: Probe) -> None:
    others = [other for other in PROBES.values() if other is not type(probe)]
    own = [column.name for column in probe.columns]
    taken = {column.name for other in others for column in other.columns}
    taken |= {column.name for column in (*METRICS, PENALTY, *GRADIENTS)} - {column.name for column in probe.columns}
    law(not taken & set(own), "no other probe has a column of that name", taken & set(own))
    law(len(own) == len(set(own)), "its columns have different names", own)
    if type(probe) not in PROBES.values():
        files = {column.name for column in (*METRICS, PENALTY, *GRADIENTS)}
        law(not files & set(own), "no column of the files has that name", files & set(own))


def _measured(probe: Probe, configs: Sequence[Config]) -> Figures:
    """The figures of a probe at the second update of a fleet, with the laws of any measurement."""
    fleet = Fleet(configs)
    fleet.update()
    batch = fleet.compute_gradients()
    view = UpdateView(1, fleet.network, batch.result, batch.sequences, fleet.objective)
    shown = [*fleet.network.parameters.values(), batch.gradients, batch.result.losses]
    before = [bits(tensor) for tensor in shown]
    with random_state_untouched("a probe"):
        rows = probe.rows(view)
        measured = probe.measure(view)
        _unchanged(before, shown)
        fleet.apply_gradients(batch)
        moved = [bits(tensor) for tensor in shown]
        figures = measured() if callable(measured) else measured
    _unchanged(moved, shown)
    tables = figures.tables if isinstance(figures, Measured) else ()
    figures = figures.figures if isinstance(figures, Measured) else figures
    _check_tables(probe, configs, tables)
    columns = {column.name for column in probe.columns}
    law(set(figures) <= columns, "it measures columns that it names in `columns`, and no other", set(figures) - columns)
    for name, values in figures.items():
        law(np.shape(values) == (len(configs),), f"{name} is a number for each replica [R]", np.shape(values))
    _check_rows(probe, configs, rows)
    return figures


def _check_tables(probe: Probe, configs: Sequence[Config], tables: Sequence[Sequence[TableRows]]) -> None:
    most = probe.table_rows(configs[0])
    law(not tables or len(tables) == len(configs), "there is a table for each replica", len(tables))
    quantities = {column.name for column in probe.table}
    for table in tables:
        written = sum(len(rows.at) for rows in table)
        law(written <= most, f"a table has the {most} rows that `table_rows` promises, at most", written)
        others = {name for rows in table for name in rows.values} - quantities
        law(not others, "a table has the quantities that `table` names, and no other", others)


def _unchanged(before: Iterable[bytes], shown: Iterable[object]) -> None:
    law([*before] == [bits(tensor) for tensor in shown], "a probe changes nothing of what it is shown")  # type: ignore[arg-type]


def _check_rows(probe: Probe, configs: Sequence[Config], rows: Sequence[Sequence[Curve]]) -> None:
    promised = probe.gradient_rows(configs[0])
    law(bool(rows) == (promised > 0), "`gradient_rows` is 0 where `rows` gives none", promised)
    law(not rows or len(rows) == len(configs), "`rows` gives a list of curves for each replica", len(rows))
    for curves in rows:
        written = sum(len(curve.t) for curve in curves)
        law(written == promised, f"`rows` gives the {promised} rows that `gradient_rows` promises", written)
