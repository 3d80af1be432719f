"""What a probe is, and what it may look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from rnnlab.column import Column
from rnnlab.parts import Part

if TYPE_CHECKING:
    from torch import Tensor

    from rnnlab.config import Config
    from rnnlab.gradients.passes import Pass
    from rnnlab.gradients.readings import Curve
    from rnnlab.network.network import Network

Floats = NDArray[np.float64]
Figures = Mapping[str, Floats]
"""By column of metrics.csv: a number for each replica [R]."""


class View(Protocol):
    """One update of R replicas between the backward pass and the optimizer: to look at, and to leave as it is."""

    @property
    def update(self) -> int:
        """Updates made before this one."""

    @property
    def network(self) -> Network:
        """The network; its weights [R, ...] are those that the gradients went through, until the optimizer moves."""

    @property
    def result(self) -> Pass:
        """What the pass gave; it is good until the optimizer moves."""

    @property
    def lengths(self) -> Tensor:
        """Timesteps of each sequence [R, B]."""

    def curves(self) -> list[list[Curve]]:
        """Each replica's rows of gradients.csv: total and direct gradient of every layer and state."""

    def norms(self, tensors: Sequence[Tensor]) -> Floats:
        """The L2 norm [R] over all of these tensors [R, ...] together, in float64."""


class Probe(Part):
    """Something that is measured while a network trains, and changes nothing by it.

    A probe of one's own gives `columns` and `measure` for metrics.csv, or `rows` and `gradient_rows` for gradients.csv.
    """

    columns: ClassVar[tuple[Column, ...]] = ()
    """What it writes to metrics.csv: numbers."""
    rank: ClassVar[int] = 9
    """Where its columns stand among those of other probes."""
    also_nonfinite: ClassVar[bool] = False
    """It also measures the first update of a streak that is not finite, whatever the schedule says."""

    def measure(self, view: View) -> Figures | Callable[[], Figures]:
        """Its columns, or a function that gives them once the optimizer has moved the weights.

        A column that is left out stays empty at this update.
        """
        return {}

    def rows(self, view: View) -> Sequence[Sequence[Curve]]:
        """What it writes to gradients.csv, for each replica; empty for nothing."""
        return ()

    def gradient_rows(self, config: Config) -> int:
        """How many rows that is at each update that it measures."""
        return 0


def to_numpy(tensor: Tensor) -> Any:
    """The tensor's values on the host."""
    return tensor.detach().cpu().numpy()
