"""A column of metrics.csv or gradients.csv, described as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Column:
    """A column: its name, the kind of its values, their unit, formula and meaning.

    >>> Column("eval_loss", "number", "nats", "mean L", "loss on the validation split").dtype
    'float64'
    """

    name: str
    kind: Literal["count", "text", "number", "log10"]
    unit: str
    formula: str
    meaning: str

    @property
    def dtype(self) -> str:
        """The column's type in a frame."""
        return {"count": "int64", "text": "str"}.get(self.kind, "float64")
