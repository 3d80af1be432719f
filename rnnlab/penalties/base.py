"""What a penalty is, and what it gives of one update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from rnnlab.parts import Part

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from rnnlab.cells import Cell
    from rnnlab.probes import View


@dataclass(frozen=True, eq=False)
class Term:
    """The value of a penalty for each replica, float64 [R], and its gradient.

    gradients: by layer and by name, the gradient with respect to what the scans multiply by and add (W_ih, the
    recurrent weights, b, b_hh), float64 [R, ...] of its shape; what is not named has none.

    >>> Term(np.array([0.5]), [{}]).values
    array([0.5])
    """

    values: NDArray[np.float64]
    gradients: Sequence[Mapping[str, Tensor]]


class Penalty(Part):
    """A term of the weights and of a batch's sequences, whose gradient is added to that of the loss.

    Of one update it reads what a probe reads, for all replicas of a fleet at once.
    """

    hints: ClassVar[Mapping[str, str]] = {"strength": "`penalty: none` adds nothing"}

    def reason_against(self, cell: Cell) -> str | None:
        """Why it has no meaning for a cell; None where it has."""
        return None

    def due(self, update: int) -> bool:
        """Whether it acts at this update, counted from 0."""
        return True

    def rows_at_once(self, timesteps: int, sequences: int) -> int:
        """How many rows, timesteps times sequences, of a replica have their graphs in memory at once."""
        return 0

    def measure(self, view: View) -> Term:
        """Its value and its gradient at this update, times its strength."""
        raise NotImplementedError


class NoPenalty(Penalty):
    """Adds nothing to the loss.

    >>> NoPenalty().due(0)
    False
    """

    name: Literal["none"] = "none"

    def due(self, update: int) -> bool:
        return False
