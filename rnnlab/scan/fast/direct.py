"""The direct gradient on the compiled scan: a cell's rule, once, at each read-out timestep.

The gradient that comes from the read-out (or from the layer above at the same timestep) goes back through that one
timestep and no further, by the same rule and the same saved activations as in the scan.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numba import njit
from numba.extending import register_jitable

from rnnlab.scan.fast import nonlinearities
from rnnlab.scan.fast.blocks import clip_row, saved_of_block
from rnnlab.scan.fast.kernels import source_stamp
from rnnlab.scan.fast.layer_arrays import States
from rnnlab.scan.fast.scaled_rows import clear, sum_of_squares
from rnnlab.scan.fast.unique_names import unique
from rnnlab.scan.pointwise import copy
from rnnlab.scan.rule import Rule


@register_jitable(**nonlinearities.OPTIONS)
def gather_row(width, saved, t, k, n, H, out):  # type: ignore[no-untyped-def]
    """Copy what row k of a block saved [T, width * n * H] at timestep t to out [width * H]."""
    for w in range(width):
        at = (w * n + k) * H
        copy(saved[t, at : at + H], out[w * H : (w + 1) * H])


@functools.cache
def direct(rule: Rule) -> Callable[..., None]:
    """The compiled loop over read-out timesteps with this rule inside."""
    own_dgh, width, gates, stamp = rule.own_dgh, rule.width, rule.gates, source_stamp(rule)
    step_backward = register_jitable(**nonlinearities.OPTIONS)(unique(stamp)(rule.backward))

    @njit(nogil=True, cache=True, **nonlinearities.OPTIONS)
    @unique(stamp)
    def at_read_outs(unit, upstream, states, bounds, squares, dgx, items, begin, end):  # type: ignore[no-untyped-def]
        """Rows [R, S, B, H] to squares [R, S, B, 4] and dgx [R, S, B, G*H] at the same exponents.

        upstream: the rows, their exponents and their timesteps [R, S, B], -1 for none. bounds [R]: of the adjoint clip.
        """
        stamp  # noqa: B018  part of the key of the disk cache
        (rows, exponents, timesteps), states = upstream, States(*states)
        for item in range(begin, end):
            r, first, last = items[item]
            hs, cs, dtype = states.hs, states.cs, states.hs.dtype
            H, C, n = hs.shape[3], cs.shape[3], last - first
            saved = saved_of_block(states, width, r, first, last)
            dh, dh_prev, dc, dc_prev = np.empty(H, dtype), np.empty(H, dtype), np.empty(C, dtype), np.empty(C, dtype)
            of_row, dgh, limit = np.empty(width * H, dtype), np.empty(dgx.shape[3], dtype), np.zeros(1, dtype)
            for s in range(rows.shape[1]):
                for row in range(first, last):
                    t, out, squares_row = timesteps[r, s, row], dgx[r, s, row], squares[r, s, row]
                    clear(squares_row)
                    clear(out)
                    if t < 0:
                        continue
                    if out.shape[0] == 0:
                        squares_row[0] = sum_of_squares(rows[r, s, row])
                        continue
                    copy(rows[r, s, row], dh)
                    clear(dc)
                    gather_row(width, saved, t, row - first, n, H, of_row)
                    dgh_row = dgh if own_dgh else out
                    step_backward(dh, dc, of_row, hs[r, t, row], cs[r, t, row], unit, out, dgh_row, dh_prev, dc_prev)
                    squares_row[0], squares_row[1] = sum_of_squares(dh), sum_of_squares(dc)
                    if bounds[r] > 0:
                        of_x = out.reshape(gates, H)
                        clip_row(of_x, False, of_x, bounds[r], exponents[r, s, row], squares_row, limit)

    loop: Callable[..., None] = at_read_outs
    return loop
