"""The general scan: any cell's definition in a loop over time, under autograd, on any device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

State = tuple[Tensor, ...]
Definition = Callable[[Tensor, Tensor, State], tuple[State, State]]


@dataclass
class Trace:
    """One layer's pass over time: each timestep's states (h, and c where there is one), gates and pre-activations.

    With an adjoint clip, `before` and `after` fill up on the way back: dL/da_t as it came and as it went on.
    """

    states: list[State] = field(default_factory=list)
    gates: list[State] = field(default_factory=list)
    before: dict[int, Tensor] = field(default_factory=dict)
    after: dict[int, Tensor] = field(default_factory=dict)

    @property
    def h(self) -> Tensor:
        """The hidden states [R, T, B, H]."""
        return torch.stack([state[0] for state in self.states], 1)


def forward(
    definition: Definition,
    gx: Tensor,
    W_hh: Tensor,
    b_hh: Tensor | None,
    lengths: Tensor,
    *,
    states: int,
    bounds: Tensor | None = None,
) -> Trace:
    """Run state_t = definition(gx_t, h_{t-1} W_hh + b_hh, state_{t-1}) from zero states, keeping every state.

    gx [R, T, B, G*H], W_hh [R, H, G*H], b_hh [R, G*H], lengths [R, B]. With `bounds` [R], dL/da_t is clamped to
    [-bound, bound] on the way back, before it travels on to t-1.
    """
    R, T, B, _ = gx.shape
    zero = gx.new_zeros(R, B, W_hh.shape[1])
    state: State = (zero,) * states
    ragged = bool((lengths < T).any())
    trace, limits = Trace(), None if bounds is None else bounds[:, None, None].to(gx)
    for t in range(T):
        gx_t, gh_t = gx[:, t], torch.bmm(state[0], W_hh)
        if b_hh is not None:
            gh_t = gh_t + b_hh[:, None]
        if limits is not None and gx_t.requires_grad:
            gx_t.register_hook(_recorded_clamp(trace, t, limits))
            # The first state is a constant, and nothing travels on from t = 0.
            if gh_t.requires_grad:
                gh_t.register_hook(lambda gradient: gradient.clamp(-limits, limits))
        state, gates = definition(gx_t, gh_t, state)
        trace.states.append(state)
        trace.gates.append(gates)
        if ragged:
            # What is kept above is unmasked: h_t hangs on the c_t that came with it, not on a masked copy.
            alive = (t < lengths)[..., None]
            state = tuple(part.where(alive, 0) for part in state)
    return trace


def _recorded_clamp(trace: Trace, t: int, limits: Tensor) -> Callable[[Tensor], Tensor]:
    def clamp(gradient: Tensor) -> Tensor:
        trace.before[t] = gradient
        trace.after[t] = gradient.clamp(-limits, limits)
        return trace.after[t]

    return clamp
