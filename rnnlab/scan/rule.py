"""What the fast scan needs to know of a cell: one timestep, forward and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Rule(NamedTuple):
    """The elementwise forward and the hand-derived backward of one timestep, on N units: those of one row, or of many.

    forward(gx, gh, h_prev, c_prev, h, c, saved, one) reads the input and recurrent pre-activations [G*N] and the
    previous state [N]; it writes the new state [N] and, into `saved` [width*N], what the backward needs: the gates
    first, in the cell's order. The scan hands over a block of rows at once, each gate of all rows in one piece, so
    nothing here may look from one unit to another.

    backward(dh, dc, saved, h_prev, c_prev, one, dgx, dgh, dh_prev, dc_prev) reads the total dL/dh_t and the part of
    dL/dc_t that comes from after t; it leaves the total dL/dc_t in `dc` and writes the gradients of both
    pre-activations and the pointwise part of dL/dh_{t-1} and dL/dc_{t-1} (the scan adds dgh W_hh^T).

    Plain Python on numpy arrays, so it can be read, run and tested as such; the fast scan compiles it. A cell without a
    second state gets empty rows for c. Constants are written with `one`, which has the dtype of the rows.
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
