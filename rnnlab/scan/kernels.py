"""The compiled scan: one loop over time, forward and back, written once with a cell's rule inside it.

A call works on one replica and a block of rows of its batch, over all timesteps: rows never meet inside a scan, so
blocks run on threads of their own without waiting for each other, and a block's state stays in cache.

Going back, each row carries dL/dh_t (and dL/dc_t) as mantissa and power-of-two exponent: true value = mantissa * 2^e.
The row is rescaled when its norm leaves [2^-10, 2^10], which is exact, so nothing under- or overflows however long the
sequence is, and no subnormal number slows the loop down.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import njit
from numba.extending import register_jitable

from rnnlab.scan import compiled, pointwise
from rnnlab.scan.blas import gemm
from rnnlab.scan.rule import Rule

LARGEST, SMALLEST = 2.0**20, 2.0**-20
"""Bounds on the squared norm of a row's mantissa."""

NEGLIGIBLE = -70
"""A row this many powers of two below the largest adds nothing to a sum, in float64 either; its last bits would be
subnormal numbers in float32, which a CPU is slow on."""

SQUARES = ("h", "c", "a", "a_clipped")
"""Places in the last axis of `squares`: dL/dh_t, dL/dc_t, dL/da_t before and after the adjoint clip."""


class Kernels(NamedTuple):
    """The two compiled loops of one rule."""

    forward: Callable[..., None]
    backward: Callable[..., None]


@register_jitable(error_model="numpy", fastmath={"contract", "reassoc"})
def sum_of_squares(row):  # type: ignore[no-untyped-def]
    total = 0.0
    for j in range(row.shape[0]):
        total += np.float64(row[j]) * np.float64(row[j])
    return total


@register_jitable(**compiled.OPTIONS)
def scale(row, factor):  # type: ignore[no-untyped-def]
    for j in range(row.shape[0]):
        row[j] *= factor


@register_jitable(**compiled.OPTIONS)
def power_of_two(one, shift):  # type: ignore[no-untyped-def]
    """2^shift in the dtype of `one`, or 0 where that would leave the normal range."""
    return (one - one) if shift < NEGLIGIBLE else one * np.float32(math.ldexp(1.0, min(shift, -NEGLIGIBLE)))


@register_jitable(**compiled.OPTIONS)
def join(dh, dc, e, arriving, e_arriving, one):  # type: ignore[no-untyped-def]
    """Add what arrives at this timestep to the row, at the larger of the two exponents, and return that."""
    if sum_of_squares(dh) + sum_of_squares(dc) == 0.0:
        e = e_arriving
    if e_arriving > e:
        factor = power_of_two(one, e - e_arriving)
        scale(dh, factor)
        scale(dc, factor)
        e = e_arriving
    factor = power_of_two(one, e_arriving - e)
    for j in range(dh.shape[0]):
        dh[j] += factor * arriving[j]
    return e


@register_jitable(**compiled.OPTIONS)
def renormalize(dh, dc, e, one):  # type: ignore[no-untyped-def]
    """Bring the row's norm near 1 when it has gone far from it; returns the exponent that makes up for it."""
    size = sum_of_squares(dh) + sum_of_squares(dc)
    if (size > LARGEST or size < SMALLEST) and size > 0.0 and size < np.inf:
        _, twice = math.frexp(size)
        shift = min(max(twice // 2, NEGLIGIBLE), -NEGLIGIBLE)
        factor = power_of_two(one, -shift)
        scale(dh, factor)
        scale(dc, factor)
        e += shift
    return e


@register_jitable(**compiled.OPTIONS)
def clamp(row, bound):  # type: ignore[no-untyped-def]
    """Clamp to [-bound, bound]; returns how many entries were beyond it. NaN stays."""
    count = 0
    for j in range(row.shape[0]):
        if row[j] > bound:
            row[j] = bound
            count += 1
        elif row[j] < -bound:
            row[j] = -bound
            count += 1
    return count


@njit(nogil=True, cache=True, error_model="numpy")
def align(d, exponents, largest, one, r, first, last):  # type: ignore[no-untyped-def]
    """Bring timesteps [first, last) of replica r to one exponent, so that they can be summed over time and batch."""
    for t in range(first, last):
        for b in range(d.shape[2]):
            shift = exponents[r, t, b] - largest
            if shift != 0:
                scale(d[r, t, b], power_of_two(one, shift))


@functools.cache
def kernels(rule: Rule) -> Kernels:
    """Compile (or read from the disk cache) the scan with this rule inside."""
    step_forward = register_jitable(**compiled.OPTIONS)(rule.forward)
    step_backward = register_jitable(**compiled.OPTIONS)(rule.backward)
    own_dgh = rule.own_dgh
    stamp = _stamp(rule)

    @njit(nogil=True, cache=True, **compiled.OPTIONS)
    def forward(address, one, gx, W, b_hh, lengths, hs, cs, saved, r, first, last):  # type: ignore[no-untyped-def]
        stamp  # noqa: B018  part of the key of the disk cache
        T, G, H = gx.shape[1], gx.shape[3], W.shape[1]
        n = last - first
        gh = np.empty((n, G), gx.dtype)
        for t in range(T):
            for b in range(n):
                gh[b] = b_hh[r]
            h_prev = hs[r, t, first:last]
            gemm(address, False, n, G, H, h_prev.ctypes.data, W[r].ctypes.data, G, one, gh.ctypes.data)
            for b in range(n):
                row = first + b
                h, c = hs[r, t + 1, row], cs[r, t + 1, row]
                if t < lengths[r, row]:
                    step_forward(gx[r, t, row], gh[b], h_prev[b], cs[r, t, row], h, c, saved[r, t, row], one)
                else:
                    h[:] = 0
                    c[:] = 0

    @njit(nogil=True, cache=True, **compiled.OPTIONS)
    def backward(  # type: ignore[no-untyped-def]
        address, one, hs, cs, saved, W, lengths, slots, arriving, e_arriving, bound,
        dgx, dgh, exponents, squares, clipped, r, first, last,
    ):  # fmt: skip
        stamp  # noqa: B018
        T, G, H = dgx.shape[1], dgx.shape[3], W.shape[1]
        n = last - first
        dh, dh_prev = np.zeros((n, H), dgx.dtype), np.zeros((n, H), dgx.dtype)
        dc, dc_prev = np.zeros((n, cs.shape[3]), dgx.dtype), np.zeros((n, cs.shape[3]), dgx.dtype)
        e, limit = np.zeros(n, np.int64), np.zeros(1, dgx.dtype)
        begun = False
        for t in range(T - 1, -1, -1):
            for b in range(n):
                row = first + b
                slot = slots[r, t, row]
                if slot >= 0:
                    begun = True
                    e[b] = join(dh[b], dc[b], e[b], arriving[r, slot, row], e_arriving[r, slot, row], one)
            if not begun:  # nothing has arrived yet: exact zeros, and no products
                for row in range(first, last):
                    dgx[r, t, row] = 0
                    dgh[r, t, row] = 0
                    exponents[r, t, row] = 0
                    squares[r, t, row] = 0
                continue
            for b in range(n):
                row = first + b
                dgx_row, dgh_row = dgx[r, t, row], dgh[r, t, row]
                if t >= lengths[r, row]:
                    dgx_row[:] = 0
                    dgh_row[:] = 0
                    dh_prev[b] = 0
                    dc_prev[b] = 0
                    exponents[r, t, row] = 0
                    squares[r, t, row] = 0
                    continue
                e[b] = renormalize(dh[b], dc[b], e[b], one)
                exponents[r, t, row] = e[b]
                squares[r, t, row, 0] = sum_of_squares(dh[b])
                step_backward(
                    dh[b], dc[b], saved[r, t, row], hs[r, t, row], cs[r, t, row], one,
                    dgx_row, dgh_row, dh_prev[b], dc_prev[b],
                )  # fmt: skip
                squares[r, t, row, 1] = sum_of_squares(dc[b])
                if bound > 0:
                    here = math.ldexp(bound, -min(max(e[b], -1000), 1000))
                    squares[r, t, row, 2] = sum_of_squares(dgx_row)
                    limit[0] = min(here, 3e38)  # a bound beyond the format clamps nothing
                    clipped[r, row] += clamp(dgx_row, limit[0])
                    if own_dgh:
                        clamp(dgh_row, limit[0])
                    squares[r, t, row, 3] = sum_of_squares(dgx_row)
            d = dgh[r, t, first:last]
            gemm(address, True, n, H, G, d.ctypes.data, W[r].ctypes.data, G, one, dh_prev.ctypes.data)
            dh, dh_prev = dh_prev, dh
            dc, dc_prev = dc_prev, dc

    return Kernels(forward, backward)


def _stamp(rule: Rule) -> str:
    """Changes when any source that is compiled into the kernel changes: Numba itself watches this file alone."""
    import rnnlab.scan.blas

    files = {inspect.getsourcefile(item) for item in (rule.forward, pointwise, compiled, rnnlab.scan.blas)}
    digest = hashlib.sha256()
    for file in sorted(filter(None, files)):
        digest.update(Path(file).read_bytes())
    return digest.hexdigest() + rule.forward.__name__
