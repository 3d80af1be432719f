"""The direct gradient on the compiled scan: a cell's rule, once, at each place of the loss.

What arrives from the read-out (or from the layer above at the same timestep) goes through the timestep it arrives at
and no further, by the same rule and the same saved activations as in the scan.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numba import njit
from numba.extending import register_jitable

from rnnlab.scan.fast import nonlinearities as compiled
from rnnlab.scan.fast.kernels import clip_row, saved_of_block, source_stamp
from rnnlab.scan.fast.scaled_rows import clear, sum_of_squares
from rnnlab.scan.pointwise import copy
from rnnlab.scan.rule import Rule


@functools.cache
def direct(rule: Rule) -> Callable[..., None]:
    """The compiled loop over places with this rule inside."""
    step_backward = register_jitable(**compiled.OPTIONS)(rule.backward)
    own_dgh, width, gates, stamp = rule.own_dgh, rule.width, rule.gates, source_stamp(rule)

    @njit(nogil=True, cache=True, **compiled.OPTIONS)
    def at_read_outs(  # type: ignore[no-untyped-def]
        unit, rows, exponents, times, hs, cs, saved, bounds, squares, dgx, r, first, last
    ):
        """rows [R, S, B, H] at exponents [R, S, B] to squares [R, S, B, 4] and dgx [R, S, B, G*H], at the same ones."""
        stamp  # noqa: B018  part of the key of the disk cache
        T, B, H, C, n = hs.shape[1] - 1, hs.shape[2], hs.shape[3], cs.shape[3], last - first
        saved_block = saved_of_block(saved, T, width, r, B, first, last, H)
        dh, dh_prev, dc, dc_prev = (
            np.empty(H, hs.dtype),
            np.empty(H, hs.dtype),
            np.empty(C, hs.dtype),
            np.empty(C, hs.dtype),
        )
        saved_row, dgh, limit = np.empty(width * H, hs.dtype), np.empty(dgx.shape[3], hs.dtype), np.zeros(1, hs.dtype)
        for p in range(rows.shape[1]):
            for row in range(first, last):
                t, out, reading = times[r, p, row], dgx[r, p, row], squares[r, p, row]
                clear(reading)
                clear(out)
                if t < 0:
                    continue
                if out.shape[0] == 0:
                    reading[0] = sum_of_squares(rows[r, p, row])
                    continue
                copy(rows[r, p, row], dh)
                clear(dc)
                for w in range(width):
                    at = (w * n + row - first) * H
                    copy(saved_block[t, at : at + H], saved_row[w * H : (w + 1) * H])
                dgh_row = dgh if own_dgh else out
                step_backward(dh, dc, saved_row, hs[r, t, row], cs[r, t, row], unit, out, dgh_row, dh_prev, dc_prev)
                reading[0], reading[1] = sum_of_squares(dh), sum_of_squares(dc)
                if bounds[r] > 0:
                    of_x = out.reshape(gates, H)
                    clip_row(of_x, False, of_x, bounds[r], exponents[r, p, row], reading, limit)

    loop: Callable[..., None] = at_read_outs
    return loop
