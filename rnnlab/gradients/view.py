"""What the probes look at: one update, between its backward pass and the optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from rnnlab.gradients.passes import AutogradPass, CompiledPass, Pass, Scratch, Sequences, fast_pass, general_pass
from rnnlab.gradients.readings import Curve, curves
from rnnlab.gradients.unrolled import LayerReplay, replay, sample_gradients, unrolled_pass
from rnnlab.network.flat import Floats, row_norms
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective
from rnnlab.scan.scaled import Scaled


@dataclass(frozen=True, eq=False)
class UpdateView:
    """The `View` of an update; `stride` is the timesteps between two rows of gradients.csv."""

    update: int
    network: Network
    result: Pass
    batch: Sequences
    objective: Objective
    stride: int = 1

    @property
    def lengths(self) -> Tensor:
        """Timesteps of each sequence [R, B]."""
        return self.batch.lengths

    def replay(self, samples: int | None = None) -> list[LayerReplay]:
        """By layer, the forward pass of this batch's first sequences, or of all, in float64 and in plain timesteps."""
        return [layer.first(samples) for layer in self._replayed]

    @cached_property
    def _replayed(self) -> list[LayerReplay]:
        return replay(self.network, self.batch)

    @cached_property
    def unrolled(self) -> AutogradPass:
        """A pass forward and back over this batch in float64, with every row of the adjoint kept."""
        return unrolled_pass(self.network, self.batch, self.objective, self.result)

    def sample_gradients(self, samples: slice) -> Mapping[str, Scaled]:
        """By parameter, B times what each of these sequences adds to dL/dW: float64 [R, n, ...], exponents [R, n]."""
        return sample_gradients(self.network, self.batch, self.objective, self.result, samples)

    def curves(self) -> list[list[Curve]]:
        """Each replica's rows of gradients.csv: total and direct gradient of every layer and state.

        With the adjoint clip the states of the pass are those of the clipped signal, and with `train.detach` those of
        the signal with blocked paths; the total gradient of the loss comes from a second pass, without either, as
        `h_unclipped` and `c_unclipped`, or without a clip as `h_attached` and `c_attached`.
        """
        rows = curves(self.network, self.result, self.lengths, self.stride)
        if self.result.bounds is None and self.result.through_h is None:
            return rows
        ending = "attached" if self.result.bounds is None else "unclipped"
        others = curves(self.network, self._of_the_loss(), self.lengths, self.stride)
        return [
            [*mine, *(replace(curve, state=f"{curve.state}_{ending}") for curve in other)]
            for mine, other in zip(rows, others, strict=True)
        ]

    def _of_the_loss(self) -> Pass:
        if isinstance(self.result, CompiledPass):
            # Memory of its own: the pass that is looked at stays what it is.
            return fast_pass(self.network, self.batch, self.objective, Scratch(self.network.shape.layers))
        return general_pass(self.network, self.batch, self.objective)

    def norms(self, tensors: Sequence[Tensor]) -> Floats:
        """The L2 norm [R] over all of these tensors [R, ...] together, in float64."""
        return row_norms(torch.cat([tensor.detach().flatten(1) for tensor in tensors], 1))
