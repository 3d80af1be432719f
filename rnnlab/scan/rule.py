"""What the fast scan needs to know of a cell: one timestep, forward and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Rule(NamedTuple):
    """The elementwise forward and the hand-derived backward of one timestep, on N units: those of one row, or of many.

    forward(gx, gh, h_prev, c_prev, h, c, saved, unit) reads the input and recurrent pre-activations gx, gh [G*N] and
    the previous states h_prev, c_prev [N]. It writes the new states h, c [N] and, into `saved` [width*N], what the
    backward needs: the gates first, in the cell's order. The scan gives a block of rows at once, each gate of all rows
    contiguous, so the rule may not combine one unit with another.

    backward(dh, dc, saved, h_prev, c_prev, unit, dgx, dgh, dh_prev, dc_prev) reads the total dL/dh_t in dh [N] and the
    part of dL/dc_t that comes from after t in dc [N]. It leaves the total dL/dc_t in dc, and writes the gradients of
    both pre-activations dgx, dgh [G*N] and the pointwise part of dL/dh_{t-1} and dL/dc_{t-1} (the scan adds
    dgh W_hh^T).

    `unit` is the number 1 in the dtype of the arrays. Constants are written with it (`unit - z`, `unit - unit` for 0),
    because Numba reads a bare 1.0 as float64 and would compute the whole row in that.

    The rule is plain Python on numpy arrays, so it can be read, run and tested as such; the fast scan compiles it. A
    cell without a second state gets empty arrays for c.
    """

    forward: Callable[..., None]
    backward: Callable[..., None]
    gates: int
    """G: a pre-activation has G*N numbers."""
    width: int
    """`saved` has width*N numbers, the gates first."""
    second: bool = False
    """There is a second state, c."""
    own_dgh: bool = False
    """dL/d(recurrent pre-activation) differs from dL/d(input pre-activation)."""
    product: bool = True
    """There is a W_hh. Without one gh has the input pre-activation, gx nothing, and there is no dgh."""
    name: str = ""
    """Under which the same rule stands in Triton (`cuda/rules.py`); empty where it does not."""
