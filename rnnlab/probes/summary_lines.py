"""What a run's summary says of a probe: lines in which numbers stand, one a column or quantity."""

from __future__ import annotations

import math
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnnlab.column import Column


@dataclass(frozen=True)
class Series:
    """A quantity of probes.csv at one update, of one layer and part; mean and max are of what is not nan.

    values: float [n], n >= 1, in the order of what the probe counts.

    >>> series = Series([0.25, float("nan"), 0.75])
    >>> series.first, series.last, series.mean
    (0.25, 0.75, 0.5)
    """

    values: Sequence[float]

    @cached_property
    def _there(self) -> list[float]:
        return [float(value) for value in self.values if not math.isnan(value)]

    @property
    def first(self) -> float:
        return float(self.values[0])

    @property
    def last(self) -> float:
        return float(self.values[-1])

    @property
    def mean(self) -> float:
        return float(np.mean(self._there)) if self._there else math.nan

    @property
    def max(self) -> float:
        return max(self._there, default=math.nan)


@dataclass(frozen=True)
class SummaryLine:
    """A line of a run's summary: its name, and text with numbers in Python's format syntax.

    `{column}` is a number of metrics.csv. `{quantity.first}`, `.last`, `.mean` and `.max` are of a quantity of
    probes.csv, and `{at.first}`, `{at.last}` of what the probe counts; such a line is repeated for each layer and part.

    >>> line = SummaryLine("largest", "10^{log10_sigma_max.last:.1f} at lag {at.last:.0f}")
    >>> line.filled({"log10_sigma_max": Series([-0.1, -2.5]), "at": Series([1, 99])})
    '10^-2.5 at lag 99'
    """

    name: str
    text: str

    @property
    def fields(self) -> set[str]:
        """The columns and quantities that stand in the text."""
        names = (field for _, field, _, _ in string.Formatter().parse(self.text) if field)
        return {name.partition(".")[0] for name in names}

    def filled(self, values: Mapping[str, float | Series]) -> str | None:
        """The text with these numbers in it; None where none of its columns or quantities has a value."""
        given = {name: values[name] for name in self.fields if name in values}
        measured = [name for name, value in given.items() if name != "at" and not math.isnan(_number(value))]
        if not measured or len(given) < len(self.fields):
            return None
        return self.text.format(**given)


def _number(value: float | Series) -> float:
    return value.mean if isinstance(value, Series) else value


def lines_of(columns: Sequence[Column], table: Sequence[Column], at: str) -> Iterator[SummaryLine]:
    """Of a probe that gives none: each column, and each quantity of its table at its first and last place."""
    for column in columns:
        yield SummaryLine(column.name, f"{{{column.name}:.4g}}{_unit(column)}")
    for column in table:
        first, last = (f"{{{column.name}.{end}:.4g}} at {at.replace('{', '')} {{at.{end}:.0f}}" for end in _ENDS)
        yield SummaryLine(column.name, f"{first}, {last}{_unit(column)}")


_ENDS = ("first", "last")


def _unit(column: Column) -> str:
    return f" {column.unit}" if column.unit not in ("", "1") else ""
