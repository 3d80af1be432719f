"""The general scan, forward: any cell's definition in a loop over time, on any device.

Each timestep is a graph of its own for autograd, through which `general_backward` goes back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rnnlab.scan.layer import Layer
from rnnlab.scan.recurrent import Product, Recurrent

State = tuple[Tensor, ...]
Definition = Callable[[Tensor, Tensor, State], tuple[State, State]]
OwnStep = Callable[[Tensor, State, Recurrent], tuple[State, State]]


@dataclass(frozen=True)
class Step:
    """The graph of one timestep: what the cell took, leaves of autograd, and the states that it gave.

    gh: in the product form h_{t-1} W_hh + b_hh; else None, and products are what the cell itself multiplied.
    """

    gx: Tensor
    gh: Tensor | None
    before: State
    after: State
    products: list[Product] = field(default_factory=list)


@dataclass
class Trace:
    """One layer's pass over time: each timestep's states (h, and c where there is one) and gates, without a graph."""

    recurrent: Recurrent | None = None
    """Of a cell that owns its step."""
    states: list[State] = field(default_factory=list)
    gates: list[State] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    """Where there is a way back; each serves once."""

    @property
    def h(self) -> Tensor:
        """The hidden states [R, T, B, H]."""
        return torch.stack([state[0] for state in self.states], 1)


def forward(
    definition: Definition | tuple[OwnStep, Recurrent],
    layer: Layer,
    x: Tensor,
    lengths: Tensor,
    *,
    states: int,
    back: bool,
) -> Trace:
    """Run state_t = definition(x_t W_ih + b, h_{t-1} W_hh + b_hh, state_{t-1}) from zero states, keeping every state.

    For a cell that owns its step, state_t = step(x_t W_ih + b, state_{t-1}, recurrent) in place of it. x [R, T, B, I],
    lengths [R, B]. back: whether `backward` is to follow.
    """
    gx = torch.baddbmm(layer.b[:, None], x.flatten(1, 2), layer.W_ih).unflatten(1, x.shape[1:3])
    R, T, B, _ = gx.shape
    own = definition if isinstance(definition, tuple) else None
    hidden = layer.W_hh.shape[1] if own is None else own[1].hidden
    state: State = (gx.new_zeros(R, B, hidden),) * states
    ragged = bool((lengths < T).any())
    trace = Trace(None if own is None else own[1])
    for t in range(T):
        if isinstance(definition, tuple):
            state = _own_step(*definition, gx[:, t], state, trace, back=back)
        else:
            gh_t = torch.bmm(state[0], layer.W_hh)
            if layer.b_hh is not None:
                gh_t = gh_t + layer.b_hh[:, None]
            state = _step(definition, gx[:, t], gh_t, state, trace, back=back)
        if ragged:
            # What is kept is unmasked: h_t hangs on the c_t that came with it, not on a masked copy.
            alive = (t < lengths)[..., None]
            state = tuple(part.where(alive, 0) for part in state)
    return trace


def _step(definition: Definition, gx: Tensor, gh: Tensor, state: State, trace: Trace, *, back: bool) -> State:
    if back:
        gx, gh, *state_of_leaves = _leaves(gx, gh, *state)
        state = tuple(state_of_leaves)
    with torch.set_grad_enabled(back):
        after, gates = definition(gx, gh, state)
    return _kept(trace, Step(gx, gh, state, after), gates, back=back)


def _own_step(step: OwnStep, recurrent: Recurrent, gx: Tensor, state: State, trace: Trace, *, back: bool) -> State:
    if back:
        gx, *state_of_leaves = _leaves(gx, *state)
        state = tuple(state_of_leaves)
    with torch.set_grad_enabled(back):
        after, gates = step(gx, state, recurrent)
    return _kept(trace, Step(gx, None, state, after, recurrent.take()), gates, back=back)


def _leaves(*parts: Tensor) -> list[Tensor]:
    """A copy of each, since two may be one tensor at first, and each has its own gradient."""
    return [part.detach().requires_grad_() for part in parts]


def _kept(trace: Trace, step: Step, gates: State, *, back: bool) -> State:
    after = step.after
    if back:
        trace.steps.append(step)
        after, gates = tuple(part.detach() for part in after), tuple(part.detach() for part in gates)
    trace.states.append(after)
    trace.gates.append(gates)
    return after
