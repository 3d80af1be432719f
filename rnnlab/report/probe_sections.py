"""What probes measured in the groups of a report: a section for each probe, with its charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from rnnlab.compare.probe_series import WHOLE, ProbeSeries, probe_series, run_readings
from rnnlab.probes import DEFAULT_PROBES, PROBES, Chart
from rnnlab.runs.cache import map_in_threads

if TYPE_CHECKING:
    from rnnlab.compare.groups import MeasuredGroups

_MOST_LINEAR = 10
_DEFAULT = {probe.key() for probe in DEFAULT_PROBES}


@dataclass(frozen=True)
class Place:
    """A layer and a part of the network that a chart is of.

    >>> Place(1, "W_hh").text(layers=2), Place(0, "").text(layers=1)
    ('layer 1 W_hh', '')
    """

    layer: int
    part: str

    def text(self, layers: int) -> str:
        """In words, without the layer where the networks have one."""
        numbered = f"layer {self.layer}" if layers > 1 and self.layer != WHOLE else ""
        return " ".join(text for text in (numbered, self.part) if text)


@dataclass(frozen=True)
class Section:
    """One probe: what it measures, its charts, and what it measured in each group.

    >>> chart = Chart("size", "size of the gate", x="t")
    >>> section = Section("sizes", "Made up.", (chart,), series=((),), layers=1)
    >>> section.text(chart, Place(0, "forget")), section.places(chart)
    ('size of the gate, forget', [])
    """

    name: str
    meaning: str
    charts: tuple[Chart, ...]
    """Those of which there is something to draw."""
    series: tuple[tuple[ProbeSeries, ...], ...]
    """By group, in the report's order."""
    layers: int

    def places(self, chart: Chart) -> list[Place]:
        """The layers and parts that a chart has, in their order."""
        of = (Place(one.layer, one.part) for group in self.series for one in group if one.quantity == chart.quantity)
        return sorted(dict.fromkeys(of), key=lambda place: place.layer)

    def of(self, chart: Chart, place: Place, group: int) -> ProbeSeries | None:
        """What a group measured there."""
        wanted = (chart.quantity, place.layer, place.part)
        return next((one for one in self.series[group] if (one.quantity, one.layer, one.part) == wanted), None)

    def against_updates(self, chart: Chart) -> bool:
        """Whether a chart is drawn against updates: of a quantity that has one place in each layer and part."""
        found = [one for group in self.series for one in group if one.quantity == chart.quantity]
        return all(one.by_update is not None for one in found)

    def x_label(self, chart: Chart) -> str:
        """Of a chart's x axis."""
        return "update" if self.against_updates(chart) else chart.x or "place"

    def is_logarithmic(self, chart: Chart) -> bool:
        """Whether its values are on a logarithmic axis: as the chart says, if all are positive and far apart."""
        if chart.scale != "log":
            return False
        drawn = [one.drawn.median for group in self.series for one in group if one.quantity == chart.quantity]
        values = np.concatenate(drawn)
        return bool(np.isfinite(values).all() and values.min() > 0 and values.max() > _MOST_LINEAR * values.min())

    def text(self, chart: Chart, place: Place) -> str:
        """What a chart shows there, in words."""
        return ", ".join(text for text in (chart.label or chart.quantity, place.text(self.layers)) if text)


@dataclass(frozen=True)
class ProbeFindings:
    """The sections of a report, and the runs whose probes.csv cannot be read, with the reasons.

    >>> ProbeFindings((), {"lstm-s0": "probes.csv has no header"}).faults["lstm-s0"]
    'probes.csv has no header'
    """

    sections: tuple[Section, ...]
    faults: Mapping[str, str]


def probe_findings(measured: MeasuredGroups, *, default: bool) -> ProbeFindings:
    """What probes measured in the groups' runs: those that runs have by default, or the others that configs name.

    Quantities are read at the update that the groups are read at.
    """
    names = [name for name in _named(measured) if (name in _DEFAULT) == default]
    if not names:
        return ProbeFindings((), {})
    runs = [run for group in measured for run in group.runs]
    found = dict(
        zip((run.path for run in runs), map_in_threads(partial(run_readings, probes=names), runs), strict=True)
    )
    faults = {measured.groups.name_of(run): why for run in runs if (why := found[run.path][1])}
    series = [probe_series([found[run.path][0] for run in group.runs], measured.at) for group in measured]
    sections = (_section(name, [one.get(name, ()) for one in series]) for name in names)
    return ProbeFindings(tuple(section for section in sections if section.charts), faults)


def _named(measured: MeasuredGroups) -> list[str]:
    """The probes that the runs' configs name, in the order of their table; those that are not known here last."""
    named: dict[str, None] = {}
    for group in measured:
        for run in group.runs:
            which = run.settings.get("probe.which")
            named |= dict.fromkeys(map(str, which if isinstance(which, list | tuple) else ()))
    order = [*PROBES]
    return sorted(named, key=lambda name: order.index(name) if name in order else len(order))


def _section(name: str, series: Sequence[tuple[ProbeSeries, ...]]) -> Section:
    """Of a probe that is not known here each quantity is drawn, under its own name."""
    there = dict.fromkeys(one.quantity for group in series for one in group)
    charts = PROBES[name].drawn() if name in PROBES else tuple(Chart(quantity) for quantity in there)
    layers = {one.layer for group in series for one in group} - {WHOLE}
    meaning = PROBES[name].meaning() if name in PROBES else "A probe that is not known here."
    return Section(
        name, meaning, tuple(chart for chart in charts if chart.quantity in there), tuple(series), len(layers)
    )
