"""The content of a report, in whatever form it is written: the figures of groups, and notes on what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from rnnlab.compare.axes import Axis
from rnnlab.compare.distinct import Distinct, distinct
from rnnlab.compare.group import MeasuredGroup
from rnnlab.compare.groups import Groups
from rnnlab.compare.measured import OnReadings
from rnnlab.compare.pairs import Pair, pairs
from rnnlab.compare.probe_series import WHOLE
from rnnlab.errors import UsageError, nearest
from rnnlab.report.formatting import format_count, format_signed
from rnnlab.report.headings import HEADINGS, UNFINISHED, label, numbers, short_names, values_of
from rnnlab.report.probe_sections import ProbeFindings, Section, probe_findings
from rnnlab.runs.run_json import NO_CHECKSUM, has_checksum
from rnnlab.wording import shortened

if TYPE_CHECKING:
    import pandas as pd

    from rnnlab.runs.run import Run

MOST_COMPARISONS = 12
_WORDS_TO_NOTE = {
    "mixed": "for the curve is no exponential and its rate describes it badly",
    "dead": "for the gradient is exactly zero behind the read-out",
}
MOST_NOTES = 10
"""Of one kind, each on one run."""


def check_comparable(groups: Groups) -> None:
    """Raise UsageError where the other settings that differ would make more than MOST_COMPARISONS tables."""
    if (count := len(groups.comparisons())) > MOST_COMPARISONS:
        raise UsageError(
            f"besides {', '.join(groups.by)} these runs differ in {', '.join(groups.also)}, "
            f"which makes {count} comparisons; add some to --by, or choose with --where"
        )


class Findings:
    """Groups, their figures at one update, and notes on them.

    Raises UsageError where the other settings that differ would make more than MOST_COMPARISONS tables.

    >>> import rnnlab
    >>> from rnnlab.report.findings import Findings
    >>> findings = Findings(rnnlab.load_runs("runs").group_by("model.cell"))
    >>> findings.titles()[:5], findings.cells(findings.measured[0])[:5]
    (['cell', 'runs', 'seeds', 'success', 'rate'], ['lstm', '3', '3', '3/3', '-1.90'])
    >>> findings.notes()
    ["success: each run's own train.stop, or error < 0.01 where it has none, on the validation split"]
    """

    def __init__(
        self,
        groups: Groups,
        at: int | None = None,
        success: str | None = None,
        on_readings: OnReadings | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        check_comparable(groups)
        self.groups = groups
        self.measured = groups.measure(at, success, on_readings)
        self.comparisons = self.measured.comparisons()
        self._labels = {self.axis(key).key: name for key, name in (labels or {}).items()}

    @cached_property
    def pairs(self) -> list[Pair]:
        """Paired comparisons of decay rates."""
        return pairs(self.measured)

    @cached_property
    def probes(self) -> ProbeFindings:
        """What the probes measured that the runs' configs name besides those that all runs have."""
        return probe_findings(self.measured, default=False)

    @cached_property
    def charted_probes(self) -> tuple[Section, ...]:
        """What there are charts of: those probes, and then the ones that all runs have."""
        return (*self.probes.sections, *probe_findings(self.measured, default=True).sections)

    @cached_property
    def distinct(self) -> Distinct:
        """The groups that differ in what was measured: at update 0 a clip, say, has not acted yet."""
        return distinct(self.measured)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """All axes along which the groups differ, those that are compared last."""
        return (*self.groups.also_axes, *self.groups.axes)

    @property
    def names(self) -> dict[str, str]:
        """The names of the axes by their keys: the labels given, or `length` for task.length where that is clear."""
        return short_names([axis.key for axis in self.axes]) | self._labels

    def axis(self, key: str) -> Axis:
        """The axis that a key, or its short name, is of. Raises UsageError with the choices."""
        short = short_names([axis.key for axis in self.axes])
        for axis in self.axes:
            if key in (axis.key, axis.key.removesuffix(".name"), short[axis.key], *axis.keys):
                return axis
        near = nearest(key, [*short, *short.values()])
        hint = f"; did you mean {near!r}?" if near else ""
        choices = f" (choices: {', '.join(short)})" if short else ""
        raise UsageError(f"the groups do not differ in {shortened(repr(key))}{hint}{choices}")

    def titles(self) -> list[str]:
        """The titles of a comparison's columns: the axes by their names, and the headings."""
        names = self.names
        return [*(names[axis.key] for axis in self.groups.axes), *(heading.name for heading in HEADINGS)]

    def cells(self, group: MeasuredGroup) -> list[str]:
        """A group's cells under those titles."""
        return [*values_of(group, self.groups.axes), *(heading.cell(group) for heading in HEADINGS)]

    def shared_text(self, groups: Sequence[MeasuredGroup]) -> str:
        """In words, the values of the axes that are not compared, which are equal in all groups of a comparison."""
        axes = self.groups.also_axes
        values = zip(axes, values_of(groups[0], axes), strict=True)
        return ", ".join(f"{self._labels.get(axis.key, axis.key)} = {value}" for axis, value in values)

    def update_text(self) -> str:
        """In words, the update that the figures belong to."""
        updates = [reading.update for group in self.measured for reading in group.measured]
        span = f"{min(updates):,}" + (f" to {max(updates):,}" if min(updates) < max(updates) else "") if updates else ""
        if not updates:
            return "no gradient was recorded"
        if (at := self.measured.at) is None:
            return f"at each run's last finite reading (update {span})"
        return f"at update {at:,}" if set(updates) == {at} else f"at the readings nearest to update {at:,} ({span})"

    def notes(self) -> list[str]:
        """What a reader has to know: what is not pooled, not finished, left out or not defined."""
        return [
            *self._setting_notes(),
            *self._run_notes(),
            *self._reading_notes(),
            *self._theory_notes(),
            *self._definition_notes(),
        ]

    def _setting_notes(self) -> Iterator[str]:
        groups = self.groups
        if groups.also:
            keys = ", ".join(groups.also)
            yield f"these runs differ in {keys} as well, and are not pooled over it: add it to --by, or use --where"
        if groups.hidden:
            more = f" and {len(groups.hidden) - 4} more" if groups.hidden[4:] else ""
            yield f"along with these vary {', '.join(groups.hidden[:4])}{more}"
        if folded := self.distinct.folded:
            keys = ", ".join(axis.key for axis in folded)
            yield (
                f"at update 0 {keys} has not acted yet: groups that differ only in it are one measurement, "
                "which is drawn and compared once"
            )

    def _run_notes(self) -> Iterator[str]:
        statuses: Counter[str] = sum((group.statuses for group in self.measured), Counter())
        if statuses.total() > statuses["completed"]:
            yield "in brackets: how many of the runs have not completed"
        if statuses["diverged"]:
            diverged = format_count(statuses["diverged"], "run")
            yield f"{diverged} diverged: no success, and read at the last finite update"
        for status in UNFINISHED:
            if statuses[status]:
                unfinished = format_count(statuses[status], "run")
                yield f"{unfinished} {status}: read as far as it goes, and counted neither as a success nor as none"
        if self.groups.repeated:
            repeated = format_count(self.groups.repeated, "run")
            yield f"of the same settings and seed as another, and not counted: {repeated}"

    def _reading_notes(self) -> Iterator[str]:
        yield from _first_of(self.measured.left_out, "left out", "left out")
        yield from _first_of(self.groups.metrics_faults, "without its metrics", "without their metrics")
        yield from _first_of(self.probes.faults, "without its probes", "without their probes")
        yield from _first_of(self._unverified(), "not verified", "not verified")
        readings = [reading for group in self.measured for reading in group.measured]
        summed = sum(not reading.verdict.is_of_recurrence for reading in readings)
        if summed:
            runs = format_count(summed, "run")
            yield (
                "without a rate, for the loss is read at several timesteps and a norm sums what comes back from all of "
                f"them: {runs}; `rnnlab probe` with one read-out, or with `--which lyapunov`, answers that"
            )
        if unfit := sum(reading.rate is None for reading in readings) - summed:
            yield f"without a rate, for fewer than 5 points are finite: {format_count(unfit, 'run')}"
        for word, why in _WORDS_TO_NOTE.items():
            if count := sum(reading.verdict.word == word for reading in readings):
                yield f"{word}, {why}: {format_count(count, 'run')}"
        if differ := sum(reading.verdict.median_differs for reading in readings):
            yield f"the norm says something else than the median sample: {format_count(differ, 'run')}"
        if old := sum(not reading.verdict.own_lags for reading in readings):
            yield f"of an older version, so that lag counts from the last timestep: {format_count(old, 'run')}"
        below_range = sum(bool(reading.verdict.zeros or reading.verdict.underflow) for reading in readings)
        if below_range:
            yield f"with zeros or underflow, which are in no fit: {format_count(below_range, 'run')}"

    def _theory_notes(self) -> Iterator[str]:
        said = dict[str, str]()
        for group in self.measured:
            if lines := ", ".join(f"{line.name} {format_signed(line.rate)}" for line in group.theory):
                measured = f"; measured {format_signed(group.rate.middle)}" if group.rate else ""
                said[label(group, self.axes) or "all runs"] = lines + measured
        yield from _first_of(said, "theory, decades per 100 timesteps", "theory")

    def _unverified(self) -> dict[str, str]:
        reasons = {self.groups.name_of(run): "; ".join(_unverified(run)) for run in self.groups.runs}
        return {name: reason for name, reason in reasons.items() if reason}

    def _definition_notes(self) -> Iterator[str]:
        if any(group.ended for group in self.measured):
            rule = self.measured.success or "each run's own train.stop, or error < 0.01 where it has none"
            yield f"success: {rule}, on the validation split"
        few = sum(0 < len(group.each("rate")) < 3 for group in self.measured)
        if few:
            yield f"with fewer than 3 seeds, so points and no interval: {format_count(few, 'group')}"

    def frame(self) -> pd.DataFrame:
        """A row a group with all figures as numbers, for CSV and JSON."""
        import pandas as pd

        return pd.DataFrame(
            [numbers(group) | self._probe_numbers(number) for number, group in enumerate(self.measured)]
        )

    def _probe_numbers(self, number: int) -> dict[str, float]:
        """The medians over a group's runs of the columns that its probes have in metrics.csv."""
        return {
            f"{one.quantity}_median": float(one.reading.median[-1])
            for section in self.probes.sections
            for one in section.series[number]
            if one.layer == WHOLE
        }


def _unverified(run: Run) -> Iterator[str]:
    watch = run.info.get("watch") or {}
    if watch.get("not_verified"):
        yield (
            f"{watch['not_verified']} of {watch['records']} records of the watched model differ from autograd by more "
            "than the number format explains"
        )
    if not has_checksum(run.dir.run):
        yield NO_CHECKSUM


def _first_of(reasons: Mapping[str, str], one: str, many: str) -> Iterator[str]:
    """A note on each of the first runs by name, and how many more there are."""
    for name, reason in islice(reasons.items(), MOST_NOTES):
        yield f"{one}: {name}: {reason}"
    if len(reasons) > MOST_NOTES:
        yield f"{many}: {len(reasons) - MOST_NOTES} more"
