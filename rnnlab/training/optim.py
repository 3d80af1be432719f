"""torch.optim over a stack of replicas: each row has options of its own, and its own count of updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.network.flat import stretches

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from rnnlab.optimizers import OptimizerPart

State = Mapping[str, Tensor]
"""What an optimizer remembers of one row: its moments [P], and its count of updates."""


@dataclass(frozen=True)
class _Group:
    """Neighbouring rows that torch updates together."""

    first: int
    last: int
    weights: Tensor
    optimizer: Optimizer

    def row(self, r: int) -> dict[str, Tensor]:
        held = self.optimizer.state.get(self.weights, {})
        tensors = {name: value for name, value in held.items() if isinstance(value, Tensor)}
        return {name: value[r - self.first] if value.dim() else value for name, value in tensors.items()}


class Stepper:
    """Updates rows [R, P] in place, each by the rule of its own part; all parts are of one class.

    Rows that are alike in their options and have made as many updates are one group, and one call of torch: sort the
    rows by their options. A row that stands still while its group moves leaves it, for its count is then another.

    >>> from rnnlab.optimizers import Sgd
    >>> rows = torch.ones(2, 32)
    >>> Stepper(rows, [Sgd(lr=0.1), Sgd(lr=0.5)]).step(torch.ones(2, 32), moves=np.array([True, True]))
    >>> rows[:, 0]
    tensor([0.9000, 0.5000])
    """

    def __init__(self, rows: Tensor, parts: Sequence[OptimizerPart], states: Sequence[State] | None = None) -> None:
        self._rows, self._parts = rows, list(parts)
        self._groups = self._grouped(states or [{} for _ in parts], np.ones(len(parts), np.bool_))

    @torch.no_grad()
    def step(self, gradients: Tensor, moves: NDArray[np.bool_]) -> None:
        """One update of the rows that move; the others, and what is remembered of them, stay as they are."""
        if not moves.all() and any(
            moves[group.first : group.last].any() != moves[group.first : group.last].all() for group in self._groups
        ):
            self._groups = self._grouped([self.state(r) for r in range(len(self._parts))], moves)
        for group in self._groups:
            if moves[group.first]:
                part = self._parts[group.first]
                part.step(group.optimizer, group.weights, gradients[group.first : group.last])

    def state(self, r: int) -> dict[str, Tensor]:
        """A copy of what is remembered of a row; a Stepper made with it goes on exactly."""
        return {name: value.detach().cpu().clone() for name, value in self._group(r).row(r).items()}

    def _group(self, r: int) -> _Group:
        return next(group for group in self._groups if group.first <= r < group.last)

    def _grouped(self, states: Sequence[State], moves: NDArray[np.bool_]) -> list[_Group]:
        keys = [(part, _counts(state), move) for part, state, move in zip(self._parts, states, moves, strict=True)]
        return [self._made(first, last, states[first:last]) for first, last in stretches(keys)]

    def _made(self, first: int, last: int, states: Sequence[State]) -> _Group:
        weights = self._rows[first:last]
        optimizer = self._parts[first].build([weights])
        if states[0]:
            by_name = {name: [state[name] for state in states] for name in states[0]}
            optimizer.state[weights] = {name: _stacked(values, weights) for name, values in by_name.items()}
        return _Group(first, last, weights, optimizer)


def _counts(state: State) -> tuple[Any, ...]:
    """What rows must share to be updated together: whether they began, and how many updates they made."""
    return tuple((name, None if value.dim() else float(value)) for name, value in state.items())


def _stacked(values: Sequence[Tensor], weights: Tensor) -> Tensor:
    return torch.stack(list(values)).to(weights.device) if values[0].dim() else values[0].clone()
