"""Read-out and loss as compiled code, and back to the top layer's states: what `head` gives, block by block of rows.

It runs between a block's scan forward and its scan back, on the same thread. `head` is its oracle, and the way of the
general pass.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np
from numba import njit
from numba.extending import register_jitable
from numpy.typing import NDArray

from rnnlab.network.network import Network
from rnnlab.network.objective import ReadOut
from rnnlab.scan.fast.layer_arrays import Counts, Floats, Reals
from rnnlab.scan.fast.layer_scan import Trace, Workspace, array_of
from rnnlab.scan.fast.nonlinearities import OPTIONS, exp64
from rnnlab.scan.fast.scaled_rows import NONFINITE_EXPONENT, ZERO_EXPONENT, clear, largest_exponent, rescale

SUMS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract", "reassoc"}}
"""Sums whose order is the compiler's to choose: it depends on their length alone."""

NEAR = 30
"""`thresholds.NO_EXPONENT`. In this file, since Numba compiles anew when it changes, and not when that one does."""

_LEAST = -700.0
"""exp64 is not for what lies below: exp(-708) is the smallest number that it knows."""


class HeadInputs(NamedTuple):
    """What the read-out reads; S read-out timesteps, O outputs."""

    hs: Reals
    """[R, T+1, B, H]: the states of the top layer, timestep t being row t + 1."""
    times: Counts
    """[R, S, B]: read-out timesteps, -1 for none."""
    W: Reals
    """[R, H, O]"""
    b: Reals
    """[R, O]"""
    classes: Counts
    """[R, S, B]; [R, S, 0] for targets that are values."""
    values: Reals
    """[R, S, B, O]; [R, S, B, 0] for targets that are classes."""
    shares: Floats
    """[R]: the weight of a read-out in its replica's mean."""


class HeadArrays(NamedTuple):
    """What comes of it."""

    outputs: Floats
    """[R, S, B, O]"""
    rows: Reals
    """[R, S, B, H]: mantissas of dL/dh through the read-out alone."""
    exponents: Counts
    """[R, S, B]"""
    losses: Floats
    """[items]: the part of each block of rows in the loss."""
    sums: Floats
    """[items, O, H + 1]: dL/dW^T of each block, and dL/db in the last column."""


@register_jitable(**SUMS)
def dot(a, b):  # type: ignore[no-untyped-def]
    """The sum of a[j] b[j]."""
    total = 0.0
    for j in range(a.shape[0]):
        total += a[j] * b[j]
    return total


@register_jitable(**OPTIONS)
def add_multiple(factor, row, out):  # type: ignore[no-untyped-def]
    """out [N] += factor * row [N], in float64."""
    for j in range(row.shape[0]):
        out[j] += factor * row[j]


@register_jitable(**OPTIONS)
def near(row, exponent, out):  # type: ignore[no-untyped-def]
    """Write a float64 row [N], which is changed, as mantissas; returns its exponent: `Scaled.near`, a row at a time."""
    top = largest_exponent(row)
    if top != ZERO_EXPONENT and top != NONFINITE_EXPONENT and abs(top + 1) > NEAR:
        rescale(row, -(top + 1), 1.0)
        exponent += top + 1
    for j in range(row.shape[0]):
        out[j] = row[j]
    return exponent


@register_jitable(**OPTIONS)
def squared_error(outputs, target, share, d):  # type: ignore[no-untyped-def]
    """Write dL/d(outputs) [O] of the mean of (output - target)^2 over outputs, times `share`; returns the loss."""
    loss, factor = 0.0, share * (2 / outputs.shape[0])
    for o in range(outputs.shape[0]):
        error = outputs[o] - target[o]
        d[o] = error * factor
        loss += error * d[o] / 2
    return loss


@register_jitable(**OPTIONS)
def cross_entropy_of(outputs, target, share, d):  # type: ignore[no-untyped-def]
    """Write dL/d(outputs) [O] of -log softmax(outputs)[target], times `share`; returns the loss.

    At the target the gradient is minus the sum of the others', which a confident network does not lose.
    """
    top, total, others = outputs[0], 0.0, 0.0
    for o in range(outputs.shape[0]):
        top = max(top, outputs[o])
    for o in range(outputs.shape[0]):
        d[o] = exp64(outputs[o] - top)
    for o in range(outputs.shape[0]):
        total += d[o]
    log_total = math.log(total)
    loss = -(outputs[target] - top - log_total) * share
    for o in range(outputs.shape[0]):
        d[o] = exp64(outputs[o] - top - log_total)
    for o in range(outputs.shape[0]):
        if outputs[o] - top - log_total < _LEAST:
            d[o] = math.exp(outputs[o] - top - log_total)
    d[target] = 0.0
    for o in range(outputs.shape[0]):
        others += d[o]
    d[target] = -others
    for o in range(outputs.shape[0]):
        d[o] *= share
    return loss


@njit(nogil=True, cache=True, **OPTIONS)
def read_out_and_back(inputs, arrays, items, begin, end):  # type: ignore[no-untyped-def]
    """HeadInputs to HeadArrays, for items begin to end-1. In float64: what a confident loss gives is below float32."""
    inputs, arrays = HeadInputs(*inputs), HeadArrays(*arrays)
    times, (H, O), by_class = inputs.times, inputs.W.shape[1:], inputs.values.shape[3] == 0
    W, d, wide, back = np.empty((O, H)), np.empty(O), np.empty(H), np.empty(H)
    for item in range(begin, end):
        r, first, last = items[item]
        loss, sums = 0.0, arrays.sums[item]
        for o in range(O):
            clear(sums[o])
            for j in range(H):
                W[o, j] = inputs.W[r, j, o]
        for s in range(times.shape[1]):
            for row in range(first, last):
                t, outputs = times[r, s, row], arrays.outputs[r, s, row]
                h = inputs.hs[r, max(t, 0) + 1, row]
                for j in range(H):
                    wide[j] = h[j]
                for o in range(O):
                    outputs[o] = inputs.b[r, o] + dot(wide, W[o])
                clear(back)
                if t >= 0:
                    if by_class:
                        loss += cross_entropy_of(outputs, inputs.classes[r, s, row], inputs.shares[r], d)
                    else:
                        loss += squared_error(outputs, inputs.values[r, s, row], inputs.shares[r], d)
                    for o in range(O):
                        add_multiple(d[o], W[o], back)
                        add_multiple(d[o], wide, sums[o, :H])
                        sums[o, H] += d[o]
                arrays.exponents[r, s, row] = near(back, 0, arrays.rows[r, s, row])
        arrays.losses[item] = loss


@njit(nogil=True, cache=True, **OPTIONS)
def near_rows(rows, exponents, out, items, begin, end):  # type: ignore[no-untyped-def]
    """Rows [R, T, B, N] at exponents [R, T, B] brought near 1, in place; their new exponents to out [R, T, B]."""
    for item in range(begin, end):
        r, first, last = items[item]
        for t in range(rows.shape[1]):
            for row in range(first, last):
                of_row = rows[r, t, row]
                out[r, t, row] = near(of_row, exponents[r, t, row], of_row)


@njit(nogil=True, cache=True, **OPTIONS)
def add_read_out(sums, of_items, row, flat, at, exponents, losses):  # type: ignore[no-untyped-def]
    """Add up the blocks of each replica: sums [items, O, H + 1] and of_items [items], the losses.

    Writes W [H, O] and then b [O] to flat [R, P] from column `at` on, their exponent to the last of exponents [R, K],
    and losses [R]; row [H*O + O] is scratch.
    """
    R, O, H = flat.shape[0], sums.shape[1], sums.shape[2] - 1
    blocks = of_items.shape[0] // R
    for r in range(R):
        losses[r] = 0.0
        clear(row)
        for item in range(r * blocks, (r + 1) * blocks):
            losses[r] += of_items[item]
            for o in range(O):
                for j in range(H + 1):
                    row[j * O + o] += sums[item, o, j]
        exponents[r, exponents.shape[1] - 1] = near(row, 0, flat[r, at : at + row.shape[0]])


KERNELS = (read_out_and_back, near_rows, add_read_out)


def warm(unit: Any) -> None:
    """Compile the kernels for a network of this dtype, or read them from the disk cache."""
    rows, values, counts = np.zeros((1, 1, 1, 1), type(unit)), np.zeros((1, 1, 1, 1)), np.zeros((1, 1, 1), np.int64)
    items, one, hs = np.array([[0, 0, 1]]), np.zeros(1), np.zeros((1, 2, 1, 1), type(unit))
    inputs = HeadInputs(hs, counts, rows[0], rows[0, 0], np.zeros((1, 1, 0), np.int64), rows, one)
    arrays = HeadArrays(values, rows, counts, one, np.zeros((1, 1, 2)))
    read_out_and_back(tuple(inputs), tuple(arrays), items, 0, 1)
    add_read_out(arrays.sums, one, np.zeros(2), np.zeros((1, 2), type(unit)), 0, counts[0], one.copy())
    if type(unit) is np.float64:
        near_rows(rows, counts, counts.copy(), items, 0, 1)


class CompiledHead(NamedTuple):
    """A read-out that is to run between two scans, on the items of its trace."""

    trace: Trace
    inputs: HeadInputs
    arrays: HeadArrays

    @classmethod
    def of(cls, network: Network, trace: Trace, read_out: ReadOut, targets: NDArray[Any], work: Workspace) -> Self:
        """targets [R, S, B] classes or [R, S, B, O] values."""
        hs, times = trace.arrays.states.hs, array_of(read_out.timesteps)
        W, b = (array_of(network.parameters[name]) for name in ("readout.W", "readout.b"))
        (R, S, B), (H, O), items = times.shape, W.shape[1:], len(trace.items)
        classes, values = targets, np.empty((R, S, B, 0), hs.dtype)
        if targets.ndim == 4:
            classes, values = np.empty((R, S, 0), np.int64), targets
        inputs = HeadInputs(hs, times, W, b, classes, values, read_out.weights.numpy().reshape(R))
        arrays = HeadArrays(
            np.empty((R, S, B, O)),
            work.empty("rows", (R, S, B, H), hs.dtype),
            work.empty("row_exponents", (R, S, B), np.int64),
            np.empty(items),
            work.empty("read_out", (items, O, H + 1), np.float64),
        )
        return cls(trace, inputs, arrays)

    def run(self) -> Callable[[int, int], None]:
        """A function that reads out items `begin` to `end` - 1, and goes back to their states."""
        return functools.partial(read_out_and_back, tuple(self.inputs), tuple(self.arrays), self.trace.items)
