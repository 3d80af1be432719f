"""The fast scan on the CPU: the compiled loops, spread over threads by replica and by rows of the batch."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from rnnlab.scan.fast import direct as direct_loop
from rnnlab.scan.fast import norms
from rnnlab.scan.fast.kernels import kernels
from rnnlab.scan.fast.layer_arrays import LayerInputs
from rnnlab.scan.fast.layer_scan import (
    Adjoint,
    Inputs,
    Trace,
    Upstream,
    Workspace,
    array_of,
    bounds_or_zeros,
    unit_of,
)
from rnnlab.scan.fast.threads import spread
from rnnlab.scan.fast.weight_gradients import add_blocks
from rnnlab.scan.layer import Layer
from rnnlab.scan.rule import Rule
from rnnlab.scan.scaled import Scaled

__all__ = [
    "Adjoint",
    "Inputs",
    "Trace",
    "Upstream",
    "Workspace",
    "backward",
    "direct",
    "forward",
    "misses",
    "prepare",
    "prepare_all_but_backward",
    "prepare_backward",
]


def prepare(rule: Rule, dtype: torch.dtype) -> bool:
    """Compile the scan and its readings for this dtype, or read them from disk; True when they had to be compiled."""
    loops = (*kernels(rule), direct_loop.direct(rule), add_blocks, *norms.KERNELS)
    before = misses(loops)
    prepare_all_but_backward(rule, dtype)
    prepare_backward(rule, dtype)
    return misses(loops) > before


def prepare_backward(rule: Rule, dtype: torch.dtype) -> bool:
    """The backward scan alone, which takes as long as all the rest; True when it had to be compiled."""
    loop, (inputs, weights, upstream) = kernels(rule).backward, _smallest(rule, dtype)
    before, work = misses([loop]), Workspace()
    trace = Trace.of(rule, inputs, weights, work)
    # No item: there is no forward scan to go back through.
    Adjoint.of(trace, upstream.arrays(trace), work, None, wants_dx=False).run()(0, 0)
    return misses([loop]) > before


def prepare_all_but_backward(rule: Rule, dtype: torch.dtype) -> None:
    """The forward scan, the direct gradient, and the norms."""
    inputs, weights, upstream = _smallest(rule, dtype)
    trace = forward(rule, Inputs(torch.from_numpy(inputs.x)), weights, torch.from_numpy(inputs.lengths), Workspace())
    direct(trace, upstream.rows, upstream.slots)
    norms.warm()


def _smallest(rule: Rule, dtype: torch.dtype) -> tuple[LayerInputs, Layer, Upstream]:
    """One unit on one sequence of two timesteps."""
    x, lengths = torch.zeros(1, 2, 1, 1, dtype=dtype), torch.full((1, 1), 2)
    W = x.new_zeros(1, 1, rule.gates)
    rows = Scaled(x, torch.ones(1, 2, 1, dtype=torch.int64))
    upstream = Upstream(rows, torch.zeros(1, 2, 1, dtype=torch.int64))
    return LayerInputs(x.numpy(), 0, lengths.numpy()), Layer(W, {"W_hh": W}, W[:, 0], None), upstream


def misses(loops: Iterable[Any]) -> int:
    """How often a loop was not in the disk cache, in this process so far."""
    return sum(sum(loop.stats.cache_misses.values()) for loop in loops)


def forward(
    rule: Rule,
    inputs: Inputs,
    weights: Layer,
    lengths: Tensor,
    work: Workspace,
    first: tuple[Tensor, ...] | None = None,
) -> Trace:
    """Run h_t, c_t = rule(x_t W_ih + b, h_{t-1} W_hh + b_hh, state) over time from the states `first`, or from zero.

    lengths [R, B] int64; beyond a row's length its state is zero. first: h, and c where the cell has one, [R, B, H].
    """
    given = LayerInputs(array_of(inputs.rows), inputs.shift, array_of(lengths))
    trace = Trace.of(rule, given, weights, work, first or ())
    spread(trace.run(), len(trace.items), trace.numbers)
    return trace


def backward(
    trace: Trace, upstream: Upstream, work: Workspace, *, bounds: Tensor | None = None, wants_dx: bool = False
) -> Adjoint:
    """Run the scan back from the last timestep: total dL/dh_t and dL/dc_t for every t on the way, in one pass.

    bounds float64 [R]: of the adjoint clip, where there is one.
    """
    adjoint = Adjoint.of(trace, upstream.arrays(trace), work, bounds, wants_dx=wants_dx)
    spread(adjoint.run(), len(trace.items), trace.numbers)
    return adjoint


def direct(
    trace: Trace,
    rows: Scaled,
    timesteps: Tensor,
    *,
    bounds: Tensor | None = None,
    through: bool = True,
) -> tuple[Tensor, Tensor]:
    """One timestep back from rows [R, S, B, H] at `timesteps` [R, S, B], with the recurrence held still.

    Returns squares [R, S, B, 4], as in Adjoint, and dL/d(input pre-activations) [R, S, B, G*H], both at the exponents
    of the rows. Where the timestep is -1 they are zero. Without `through` there is dL/dh_t alone, and no
    pre-activations.
    """
    R, S, B, _ = rows.mantissa.shape
    squares = torch.empty(R, S, B, 4, dtype=torch.float64)
    dgx = rows.mantissa.new_empty(R, S, B, trace.arrays.weights.b.shape[1] if through else 0)
    given = tuple(map(array_of, (*rows, timesteps))), tuple(trace.arrays.states), bounds_or_zeros(bounds, R)
    arguments = (unit_of(trace.arrays.states.hs), *given, squares.numpy(), dgx.numpy(), trace.items)
    spread(functools.partial(direct_loop.direct(trace.rule), *arguments), len(trace.items), rows.mantissa.numel())
    return squares, dgx
