"""What a pass of a network takes and gives, whichever scan runs it.

`Prediction` is what a forward pass gives. `Pass` adds what a backward pass gives; it is abstract, and there are four
final kinds of it: `CompiledPass` of the compiled scan, `TritonPass` of that on CUDA, `AutogradPass` of the general one,
and `FusedPass` of torch's fused layers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnlab.cells import Cell
from rnnlab.gradients.norm_tables import Table
from rnnlab.network.flat import Gradient
from rnnlab.network.network import Network
from rnnlab.network.objective import ReadOut
from rnnlab.scan.fast.layer_arrays import SQUARES
from rnnlab.scan.scaled import Scaled

Bound = float | Tensor | None
"""Of the adjoint clip: one for all replicas, or one for each [R]."""


@dataclass(frozen=True)
class Sequences:
    """A batch of every replica: x [R, T, B, I], y [R, B, ...] or [R, T, B, ...], lengths int64 [R, B]."""

    x: Tensor
    y: Tensor
    lengths: Tensor


@dataclass(frozen=True)
class Readings:
    """Squared row norms of one layer's gradients: true norm = sqrt(squares) * 2^exponents.

    squares: by state (`h`, `c`; with the adjoint clip `a` and `a_clipped`), each float64 [R, T, B], or [R, S, B] for
    direct gradients.
    exponents: int64 of the same shape.
    lost: bool of the same shape, where a scan can say which rows left the number format at one timestep.
    """

    squares: dict[str, Tensor]
    exponents: Tensor
    lost: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a forward pass gives, for R replicas."""

    losses: Tensor
    """[R], of the batch."""
    outputs: Tensor
    """[R, S, B, O], at the read-out timesteps."""
    targets: Tensor
    """[R, S, B] classes or [R, S, B, O] values."""
    read_out: ReadOut
    """Where the loss reads the states."""


@dataclass(frozen=True, kw_only=True)
class Pass(Prediction, ABC):
    """What a forward and a backward pass give."""

    gradients: Mapping[str, Scaled]
    """By parameter: mantissa [R, ...], exponent [R]."""
    readings: Sequence[Readings]
    """By layer: the total gradients dL/d(state_t)."""
    bounds: Tensor | None
    """Of the adjoint clip, float64 [R]."""
    clamped: Tensor | None
    """With the adjoint clip: the share of the entries of dL/da_t that were clamped, [R]."""
    through_h: Tensor | None = None
    """With `train.detach`: the factor on what goes back through h_{t-1} to the gates, 0 or 1, [layers, R, T]."""

    def gradient(self, width: int) -> Gradient:
        """The gradient of all parameters in rows of this width."""
        return Gradient(list(self.gradients.values()), width)

    @abstractmethod
    def gates(self) -> list[list[Tensor]]:
        """By layer and gate: activations [R, T, B, H]."""

    @abstractmethod
    def direct_log10(self, network: Network, index: int) -> dict[str, Tensor]:
        """By state, log10 of the row norms [R, S, B] of a layer's direct gradients, at the read-out timesteps."""

    @abstractmethod
    def norm_tables(self, network: Network, lengths: Tensor) -> Iterator[Table]:
        """Norms and percentiles [R, T] of total and direct gradients, for each layer and state; lengths [R, B]."""


def bounds_of(bound: Bound, network: Network) -> Tensor | None:
    """The bound of each replica, float64 [R]."""
    if bound is None:
        return None
    device = network.parameters["readout.b"].device
    return torch.as_tensor(bound, dtype=torch.float64, device=device).expand(network.replicas).contiguous()


def share_of_entries(count: Tensor, network: Network, batch: Sequences) -> Tensor:
    """A count [R] as a share of all pre-activations of a batch, in all layers: float64 [R]."""
    entries = batch.lengths.sum(1) * len(network.cell.gates) * network.shape.hidden * network.shape.layers
    return count.double() / entries


def states_of(cell: Cell, bounds: Tensor | None) -> list[str]:
    """The states that have readings; with the adjoint clip dL/da_t before and after it as well."""
    return [*cell.states, *(["a", "a_clipped"] if bounds is not None else [])]


def squares_by_state(cell: Cell, squares: Tensor, bounds: Tensor | None) -> dict[str, Tensor]:
    """The compiled scan's squares [..., 4] by the name of the state."""
    return {name: squares[..., SQUARES.index(name)] for name in states_of(cell, bounds)}
