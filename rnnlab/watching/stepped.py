"""A recurrence that runs timestep by timestep: cells that are called once each, or states that a loop names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnlab.errors import UsageError
from rnnlab.gradients.norm_tables import masked_columns, underflowed
from rnnlab.gradients.own_lag import RowNorms, last_nonzero, own_columns
from rnnlab.logspace import log10_of_squares
from rnnlab.scan.scaled import Scaled
from rnnlab.watching.hooks import Guard, on_gradient

States = Callable[[Any], Mapping[str, Tensor]]
_STEPS_TO_LOOK_BACK = 200
"""Operations of the graph between a state and the one before it."""


def states_of_output(output: Any) -> dict[str, Tensor]:
    """The states that torch's cells give: h, or h and c."""
    given = tuple(output) if isinstance(output, tuple | list) else (output,)
    return dict(zip(("h", "c"), given, strict=False))


@dataclass
class Sequence:
    """The states of one run through time, and the gradients that have come back to them, by state and timestep."""

    timesteps: int = 0
    number: int | None = None
    """Of the sequences of this recurrence in this update that a gradient came back to."""
    arrived: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    last: list[Tensor] = field(default_factory=list)
    """Its states at the last timestep."""


class SteppedModule:
    """Watches a cell that is called once a timestep.

    A call continues a sequence where what it is given comes from the last states of that, in the graph or in memory
    (a state that was detached); else a new sequence begins. Of torch's cells only the state counts and not the input,
    which may come from the same cell in a layer below.
    """

    def __init__(
        self, name: str, states: States, began: Callable[[], None], guard: Guard, *, of_torch: bool = False
    ) -> None:
        self.name, self._states, self._began, self._guard = name, states, began, guard
        self._of_torch = of_torch
        self.sequences: list[Sequence] = []
        self._numbers = 0

    def after_call(self, arguments: tuple[Any, ...], keywords: dict[str, Any], given: Any) -> None:
        """Follow one call of an update that is recorded."""
        states = dict(self._states(given))
        for name, state in states.items():
            if not isinstance(state, Tensor):
                raise UsageError(
                    f"{self.name}: states= must give tensors by name, and {name} is a {type(state).__name__}"
                )
        if not any(state.requires_grad for state in states.values()):
            return
        self._add(states, self._continued(arguments, keywords))

    def add(self, states: Mapping[str, Tensor], continues: bool) -> None:
        """The states of the next timestep, or of the first one of a new sequence."""
        self._add(states, self.sequences[-1] if continues and self.sequences else None)

    def _add(self, states: Mapping[str, Tensor], sequence: Sequence | None) -> None:
        if sequence is None:
            sequence = Sequence()
            self.sequences.append(sequence)
        t, sequence.timesteps = sequence.timesteps, sequence.timesteps + 1
        for name, state in states.items():
            on_gradient(state, functools.partial(self._arrived, sequence, t, name), self._guard)
        sequence.last = list(states.values())

    def _arrived(self, sequence: Sequence, t: int, name: str, gradient: Tensor) -> None:
        self._began()
        sequence.arrived[name, t] = gradient

    def _continued(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Sequence | None:
        """The sequence that a call goes on with; None begins another one."""
        state = keywords.get("hx", arguments[1:]) if self._of_torch else [arguments, keywords]
        given = _tensors(state)
        memory = {tensor.data_ptr() for tensor in given}
        for sequence in reversed(self.sequences):
            if any(last.data_ptr() in memory for last in sequence.last):
                return sequence
        ends = {last.grad_fn: sequence for sequence in self.sequences for last in sequence.last if last.grad_fn}
        return ends.get(_reached([tensor.grad_fn for tensor in given], set(ends)))

    def called(self) -> list[Sequence]:
        """The sequences that the backward pass under way came back to."""
        arrived = [sequence for sequence in self.sequences if sequence.arrived]
        for sequence in arrived:
            if sequence.number is None:
                sequence.number, self._numbers = self._numbers, self._numbers + 1
        return arrived

    def forget(self, *, update: bool) -> None:
        """Forget the backward pass that has ended, and with `update` also the sequences of the update."""
        for sequence in self.sequences:
            sequence.arrived = {}
        if update:
            self.sequences, self._numbers = [], 0


def columns_of(sequence: Sequence, state: str, factor: float) -> tuple[Any, dict[str, Any]]:
    """The timesteps that a gradient of this state came back to, and their columns of gradients.csv; each [T].

    Timesteps that are left out were cut off, by a detach between them and the loss. factor: what the gradients are
    multiplied with. The direct part is not known, since a cell's own code is all that there is of it.
    """
    times = sorted(t for name, t in sequence.arrived if name == state)
    rows = [sequence.arrived[state, t].cpu() for t in times]
    limited = "float64" if rows[0].dtype == torch.float64 else "float32"
    sizes = [row.reshape(-1, row.shape[-1]) if row.dim() else row.reshape(1, 1) for row in rows]
    batch = max(row.shape[0] for row in sizes)
    alive = torch.tensor([[row.shape[0] > b for b in range(batch)] for row in sizes])
    if not bool((alive.int().diff(dim=0) <= 0).all()):
        raise UsageError("the batch grows on the way through a sequence, so its rows are not the same samples")
    squares, exponents = torch.zeros(1, len(rows), batch, dtype=torch.float64), torch.zeros(1, len(rows), batch).long()
    for index, row in enumerate(sizes):
        mantissa, exponent = Scaled.of(row.double())
        squares[0, index, : len(row)] = mantissa.square().sum(-1) * factor**2
        exponents[0, index, : len(row)] = exponent
    unknown = np.full(squares.shape, -np.inf)
    norms = log10_of_squares(squares.numpy(), exponents.numpy())
    lost = underflowed(norms, limited)
    columns = masked_columns(squares, exponents, unknown, alive.sum(0)[None], lost)
    # Nothing comes back from later than the last read-out.
    ends = last_nonzero(np.where(lost, 0.0, norms))
    columns |= own_columns(columns, ends, lambda: RowNorms(squares, exponents, lost))
    columns["own_lag"] = np.array([times])[:, ends.max()] - np.array([times])
    columns |= dict.fromkeys(("log10_direct", "own_log10_direct"), np.ma.masked_all((1, len(rows))))
    return np.array(times), {name: values[0] for name, values in columns.items()}


def _tensors(given: Any) -> list[Tensor]:
    if isinstance(given, Tensor):
        return [given]
    if isinstance(given, Mapping):
        given = list(given.values())
    return [tensor for item in given for tensor in _tensors(item)] if isinstance(given, tuple | list) else []


def _reached(nodes: list[Any], targets: set[Any]) -> Any:
    """The first of the targets that the graph leads back to from these nodes, within a few operations, or None."""
    waiting, seen = [node for node in nodes if node is not None], set[Any]()
    while waiting and len(seen) < _STEPS_TO_LOOK_BACK:
        node = waiting.pop(0)
        if node in targets:
            return node
        if node not in seen:
            seen.add(node)
            waiting += [following for following, _ in node.next_functions if following is not None]
    return None
