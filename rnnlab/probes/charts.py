"""What a report draws of a probe: a column or quantity on which scale, under which label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rnnlab.column import Column

Scale = Literal["linear", "log"]


@dataclass(frozen=True)
class Chart:
    """One chart: a column of metrics.csv against updates, or a quantity of probes.csv against what its table counts.

    A quantity that has one place in each layer and part is drawn against updates as well.

    >>> Chart("exponent", "Lyapunov exponents", x="i").heading
    'Lyapunov exponents'
    """

    quantity: str
    label: str = ""
    """What is drawn; the quantity's name where it is empty."""
    unit: str = ""
    scale: Scale = "linear"
    """Of the values: `log` where all are positive and differ by more than a factor of 10; a log10 is linear."""
    x: str = ""
    """The label of what the table counts."""

    @property
    def heading(self) -> str:
        """The label, with the unit where there is one."""
        label = self.label or self.quantity
        return f"{label} ({self.unit})" if self.unit not in ("", "1") else label


def charts_of(columns: Sequence[Column], table: Sequence[Column], at: str) -> Iterator[Chart]:
    """Of a probe that declares none: each quantity of its table, and each of its columns."""
    for column in (*table, *columns):
        yield Chart(column.name, column.name.replace("_", " "), column.unit, x=at)
