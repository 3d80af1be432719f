"""The general scan, forward: any cell's definition in a loop over time, on any device.

Each timestep is a graph of its own for autograd, through which `general_backward` goes back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rnnlab.scan.layer import Layer

State = tuple[Tensor, ...]
Definition = Callable[[Tensor, Tensor, State], tuple[State, State]]


@dataclass(frozen=True)
class Step:
    """The graph of one timestep: what the definition took, leaves of autograd, and the states that it gave."""

    gx: Tensor
    gh: Tensor
    before: State
    after: State


@dataclass
class Trace:
    """One layer's pass over time: each timestep's states (h, and c where there is one) and gates, without a graph."""

    states: list[State] = field(default_factory=list)
    gates: list[State] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    """Where there is a way back; each serves once."""

    @property
    def h(self) -> Tensor:
        """The hidden states [R, T, B, H]."""
        return torch.stack([state[0] for state in self.states], 1)


def forward(definition: Definition, layer: Layer, x: Tensor, lengths: Tensor, *, states: int, back: bool) -> Trace:
    """Run state_t = definition(x_t W_ih + b, h_{t-1} W_hh + b_hh, state_{t-1}) from zero states, keeping every state.

    x [R, T, B, I], lengths [R, B]. back: whether `backward` is to follow.
    """
    gx = torch.baddbmm(layer.b[:, None], x.flatten(1, 2), layer.W_ih).unflatten(1, x.shape[1:3])
    R, T, B, _ = gx.shape
    state: State = (gx.new_zeros(R, B, layer.W_hh.shape[1]),) * states
    ragged = bool((lengths < T).any())
    trace = Trace()
    for t in range(T):
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
        # A copy of each state, since two may be one tensor at first, and each has its own gradient.
        gx, gh, state = gx.detach(), gh.detach(), tuple(part.detach() for part in state)
        for part in (gx, gh, *state):
            part.requires_grad_()
    with torch.set_grad_enabled(back):
        after, gates = definition(gx, gh, state)
    if back:
        trace.steps.append(Step(gx, gh, state, after))
        after, gates = tuple(part.detach() for part in after), tuple(part.detach() for part in gates)
    trace.states.append(after)
    trace.gates.append(gates)
    return after
