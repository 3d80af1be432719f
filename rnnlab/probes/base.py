"""What a probe is, and what it can read."""

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
    """One update of R replicas between the backward pass and the optimizer's step, to be read and not changed."""

    @property
    def update(self) -> int:
        """Updates made before this one."""

    @property
    def network(self) -> Network:
        """The network; until the optimizer's step its weights [R, ...] are those of the backward pass."""

    @property
    def result(self) -> Pass:
        """The result of the pass, valid until the optimizer's step."""

    @property
    def lengths(self) -> Tensor:
        """Timesteps of each sequence [R, B]."""

    def curves(self) -> list[list[Curve]]:
        """Each replica's rows of gradients.csv: total and direct gradient of every layer and state."""

    def norms(self, tensors: Sequence[Tensor]) -> Floats:
        """The L2 norm [R] over all of these tensors [R, ...] together, in float64."""


class Probe(Part):
    """A measurement during training, which changes nothing.

    A new probe has `columns` and `measure` for metrics.csv, or `rows` and `gradient_rows` for gradients.csv.
    """

    columns: ClassVar[tuple[Column, ...]] = ()
    """Its columns of metrics.csv, which hold numbers."""
    rank: ClassVar[int] = 9
    """The position of its columns among those of other probes, ascending."""
    also_nonfinite: ClassVar[bool] = False
    """Whether it also measures the first of several non-finite updates, whatever the schedule says."""

    def measure(self, view: View) -> Figures | Callable[[], Figures]:
        """The values of its columns, or a function that gives them after the optimizer's step.

        A column without a value stays empty at this update.
        """
        return {}

    def rows(self, view: View) -> Sequence[Sequence[Curve]]:
        """Its rows of gradients.csv, for each replica; empty for none."""
        return ()

    def gradient_rows(self, config: Config) -> int:
        """The number of rows that it writes to gradients.csv at each measured update."""
        return 0


def to_numpy(tensor: Tensor) -> Any:
    """The tensor's values on the host."""
    return tensor.detach().cpu().numpy()
