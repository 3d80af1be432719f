"""What a probe is, and what it can read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from rnnlab.column import Column
from rnnlab.parts import Part
from rnnlab.probes.charts import Chart, charts_of
from rnnlab.probes.summary_lines import SummaryLine, lines_of

if TYPE_CHECKING:
    from torch import Tensor

    from rnnlab.config import Config
    from rnnlab.gradients.passes import AutogradPass, Pass
    from rnnlab.gradients.readings import Curve
    from rnnlab.gradients.unrolled import LayerReplay
    from rnnlab.network.network import Network
    from rnnlab.scan.scaled import Scaled

Floats = NDArray[np.float64]
Figures = Mapping[str, Floats]
"""By column of metrics.csv: a number for each replica [R]."""


@dataclass(frozen=True)
class TableRows:
    """Rows of probes.csv: the quantities of one layer and part of the network, against what the probe counts.

    layer: its number. part: a gate, state or parameter; empty for all of the layer. at: such as lags, int [n]. values:
    by quantity a number at each, float64 [n].

    >>> TableRows(0, "", [1, 2], {"log10_sigma_max": [-0.1, -0.2]}).at
    [1, 2]
    """

    layer: int
    part: str
    at: Sequence[int]
    values: Mapping[str, Sequence[float] | Floats]


@dataclass(frozen=True)
class Measured:
    """What a probe with a table measured: numbers for metrics.csv, and for each replica its rows of probes.csv.

    >>> Measured(tables=[[]]).figures
    {}
    """

    figures: Figures = field(default_factory=dict)
    tables: Sequence[Sequence[TableRows]] = ()


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

    def replay(self, samples: int | None = None) -> list[LayerReplay]:
        """By layer, the forward pass of this batch's first sequences, or of all, in float64 and in plain timesteps."""

    @property
    def unrolled(self) -> AutogradPass:
        """A pass forward and back over this batch in float64, with every row of the adjoint kept."""

    def sample_gradients(self, samples: slice) -> Mapping[str, Scaled]:
        """By parameter, B times what each of these sequences adds to dL/dW: float64 [R, n, ...], exponents [R, n]."""

    def curves(self) -> list[list[Curve]]:
        """Each replica's rows of gradients.csv: total and direct gradient of every layer and state."""

    def norms(self, tensors: Sequence[Tensor]) -> Floats:
        """The L2 norm [R] over all of these tensors [R, ...] together, in float64."""


class Probe(Part):
    """A measurement during training, which changes nothing.

    A new probe has `columns` and `measure` for metrics.csv, or `rows` and `gradient_rows` for gradients.csv. One with
    more than a number an update has `table` as well, and `table_rows` says how many rows of probes.csv it writes.
    """

    columns: ClassVar[tuple[Column, ...]] = ()
    """Its columns of metrics.csv, which hold numbers."""
    table: ClassVar[tuple[Column, ...]] = ()
    """Its quantities of probes.csv, which hold numbers."""
    at: ClassVar[str] = ""
    """What its table counts, such as `lag`."""
    summary: ClassVar[tuple[SummaryLine, ...]] = ()
    """What a run's summary says of it, a line each; without any, all its columns and quantities."""
    charts: ClassVar[tuple[Chart, ...]] = ()
    """What a report draws of it, in this order; without any, all its quantities and columns."""
    rank: ClassVar[int] = 9
    """The position of its columns among those of other probes, ascending."""
    needs_update: ClassVar[bool] = False
    """Whether it measures what an update changes, so that `rnnlab probe` has nothing for it to measure."""
    also_nonfinite: ClassVar[bool] = False
    """Whether it also measures the first of several non-finite updates, whatever the schedule says."""

    @classmethod
    def summary_lines(cls) -> tuple[SummaryLine, ...]:
        """What a run's summary says of it."""
        return cls.summary or tuple(lines_of(cls.columns, cls.table, cls.at))

    @classmethod
    def drawn(cls) -> tuple[Chart, ...]:
        """What a report draws of it."""
        return cls.charts or tuple(charts_of(cls.columns, cls.table, cls.at))

    def measure(self, view: View) -> Figures | Measured | Callable[[], Figures]:
        """The values of its columns (and of its table), or a function that gives them after the optimizer's step.

        A column without a value stays empty at this update.
        """
        return {}

    def rows(self, view: View) -> Sequence[Sequence[Curve]]:
        """Its rows of gradients.csv, for each replica; empty for none."""
        return ()

    def gradient_rows(self, config: Config) -> int:
        """The number of rows that it writes to gradients.csv at each measured update."""
        return 0

    def table_rows(self, config: Config) -> int:
        """The number of rows that it writes to probes.csv at each measured update, at most."""
        return 0


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Within the block torch and BLAS have one thread: for small matrices others take longer to wake than to work."""
    import scipy.linalg  # noqa: F401  a library is limited only once it is loaded
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, "blas"):
            yield
    finally:
        torch.set_num_threads(threads)


def to_numpy(tensor: Tensor) -> Any:
    """The tensor's values on the host."""
    return tensor.detach().cpu().numpy()
