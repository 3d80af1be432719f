"""One column of a run's two CSV files, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Column:
    """One column: its name, how it is written, its unit, its formula and what it says.

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
