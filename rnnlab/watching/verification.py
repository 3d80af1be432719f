"""Whether a replay agrees with what autograd gave the user: every record is held to that."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnlab.scan.scaled import Scaled
from rnnlab.scan.thresholds import UNDERFLOW_MARGIN
from rnnlab.watching.replay import Call, Replayed

TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-3}
"""The largest relative deviation of a verified record. Rounding alone stays two to four digits below it."""


def tolerance(call: Call) -> float:
    """That of the number format of a call's weights; other formats are held to float32's."""
    return TOLERANCES.get(call.weights[0].hh.dtype, TOLERANCES[torch.float32])


def deviation_of_states(call: Call, replayed: Replayed) -> float:
    """Between the states that the layer gave and those of the replay."""
    return _relative(replayed.output, call.layout.time_major(call.output).cpu().to(replayed.output.dtype))


def deviation_of_weights(replays: Sequence[Replayed], of_weights: dict[int, Tensor]) -> float:
    """Between sum_t delta_t h_{t-1}^T of all calls of one backward pass and the gradient that the user got of W_hh."""
    worst = 0.0
    for index, expected in of_weights.items():
        total = sum(replayed.W_hh[index].plain().double() for replayed in replays)
        assert isinstance(total, Tensor)
        worst = max(worst, _relative(total, expected.cpu()))
    return worst


def deviation_of_layer(call: Call, arrived: dict[str, Tensor], replayed: Replayed) -> float:
    """Between dL/dx_t, dL/dh_0 and dL/dW_hh of the replay and of the layer itself, run again under autograd.

    W_hh sums over time, so early timesteps of a vanishing gradient do not show in it; in x and h_0 each timestep counts
    by itself, as far down as the number format of the layer reaches.
    """
    dx, first, of_weights = _autograd(call, arrived)
    assert replayed.dx is not None
    pairs = [(replayed.dx, call.layout.time_major(dx))]
    pairs += [(replayed.first[name], call.layout.states(value)) for name, value in first.items()]
    by_timestep = max(_deviation_by_timestep(scaled, expected.cpu()) for scaled, expected in pairs)
    return max(by_timestep, deviation_of_weights([replayed], of_weights))


def _deviation_by_timestep(scaled: Scaled, expected: Tensor) -> float:
    """The worst relative deviation of [T, B, N] over T, where both are numbers that the format holds."""
    readings, limits = scaled.plain().double().flatten(1), torch.finfo(expected.dtype)
    given = expected.double().flatten(1)
    sizes = given.norm(dim=1)
    # A gradient on its way back passes numbers smaller than itself; where these underflow, autograd is not the truth.
    held = (sizes > (UNDERFLOW_MARGIN * limits.tiny) ** 0.5) & sizes.isfinite()
    return float(((readings - given).norm(dim=1)[held] / sizes[held]).max()) if held.any() else 0.0


@torch.enable_grad()
def _autograd(call: Call, arrived: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor], dict[int, Tensor]]:
    """dL/d(input), dL/d(initial states) and dL/dW_hh of the layer, called once more with what it was called with."""
    x = call.x.clone().requires_grad_()
    first = [state.clone().requires_grad_() for state in call.first]
    twin, W_hh = _twin(call)
    with torch.random.fork_rng(devices=[], enabled=call.random_state is not None):
        if call.random_state is not None:
            torch.set_rng_state(call.random_state)
        output, states = _called(twin, call, x, first)
    given = {"output": output, **dict(zip(("h", "c"), states, strict=False))}
    names = [name for name in given if name in arrived]
    gradients = torch.autograd.grad(
        [given[name] for name in names],
        [x, *first, *W_hh],
        [arrived[name].to(given[name]) for name in names],
        materialize_grads=True,
    )
    of_first = dict(zip(("h", "c"), gradients[1 : 1 + len(first)], strict=False))
    return gradients[0], of_first, dict(enumerate(gradients[1 + len(first) :]))


def _twin(call: Call) -> tuple[nn.RNNBase, list[Tensor]]:
    """The module with weights of its own in the same memory, which have no hooks of anybody; and its W_hh."""
    twin = copy.copy(call.module)
    own = [[w.detach().requires_grad_() for w in layer if w is not None] for layer in call.weights]
    twin._flat_weights = [w for layer in own for w in layer]
    twin.training = call.random_state is not None
    return twin, [layer[1] for layer in own]


def _called(module: nn.RNNBase, call: Call, x: Tensor, first: list[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The module's own forward, without the hooks of anybody."""
    layout = call.layout
    hx = None if not first else tuple(first) if len(first) > 1 else first[0]
    if layout.batch_sizes is None:
        output, states = type(module).forward(module, x, hx)
    else:
        inverse = None if layout.order is None else torch.argsort(layout.order)
        packed = PackedSequence(x, layout.batch_sizes, layout.order, inverse)
        given, states = type(module).forward(module, packed, hx)
        output = given.data
    return output, states if isinstance(states, tuple) else (states,)


def _relative(values: Tensor, expected: Tensor) -> float:
    """|found - expected| / |expected| in the norm over all entries; 0 where there is no number to compare with."""
    size = _norm(expected)
    # Where the norm is finite so is every entry; the other way round it need not be.
    if not math.isfinite(size) and not expected.isfinite().all():
        return 0.0 if not values.isfinite().all() else math.inf
    if size < UNDERFLOW_MARGIN * torch.finfo(expected.dtype).tiny:
        return 0.0
    return _norm(values - expected) / size


def _norm(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor, dtype=torch.float64))
