"""What the fast scan needs to know of a cell: one timestep of one row, forward and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Rule(NamedTuple):
    """The pointwise forward and the hand-derived backward of one timestep, on one row (one sequence of the batch).

    forward(gx, gh, h_prev, c_prev, h, c, saved, one) reads the input and recurrent pre-activations [G*H] and the
    previous state [H]; it writes the new state [H] and, into `saved` [width*H], what the backward needs: the gates
    first, in the cell's order.

    backward(dh, dc, saved, h_prev, c_prev, one, dgx, dgh, dh_prev, dc_prev) reads the total dL/dh_t and the part of
    dL/dc_t that comes from after t; it leaves the total dL/dc_t in `dc` and writes the gradients of both
    pre-activations and the pointwise part of dL/dh_{t-1} and dL/dc_{t-1} (the scan adds dgh W_hh^T).

    Plain Python on numpy rows, so it can be read, run and tested as such; the fast scan compiles it. A cell without a
    second state gets empty rows for c. Constants are written with `one`, which has the dtype of the rows.
    """

    forward: Callable[..., None]
    backward: Callable[..., None]
    gates: int
    """G: a pre-activation has G*H numbers."""
    width: int
    """`saved` has width*H numbers, the gates first."""
    second: bool = False
    """There is a second state, c."""
    own_dgh: bool = False
    """dL/d(recurrent pre-activation) differs from dL/d(input pre-activation)."""
