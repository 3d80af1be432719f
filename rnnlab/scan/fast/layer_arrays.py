"""What the compiled scan works on: the arrays of one layer, grouped, with their shapes.

R replicas, T timesteps, B sequences (rows) of a batch, I inputs, H units, G gates; C is H for a cell with a second
state c, else 0. All arrays are contiguous; reals have the dtype of the network, exponents and lengths are int64.

Numba takes a plain tuple of arrays in a third of the time that a NamedTuple takes it. So a compiled loop is called with
plain tuples in the order of these fields, and names them in its first lines.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


class LayerInputs(NamedTuple):
    """What a layer reads. In `x` timestep t is row t + shift (shift 1 for the states of a layer below)."""

    x: Reals
    """[R, T + shift, B, I]"""
    shift: int
    lengths: Counts
    """[R, B]"""


class Weights(NamedTuple):
    """The parameters of a layer."""

    W_ih: Reals
    """[R, I, G*H]"""
    b: Reals
    """[R, G*H]"""
    W_hh: Reals
    """[R, H, G*H]"""
    b_hh: Reals
    """[R, G*H]"""


class States(NamedTuple):
    """What the forward scan writes and the backward scan reads. Index 0 of the states is the initial state."""

    hs: Reals
    """[R, T+1, B, H]"""
    cs: Reals
    """[R, T+1, B, C]"""
    saved: Reals
    """[R*T*B*width*H]: block after block of rows, each [T, width, rows, H]; the activated gates come first."""


class Upstream(NamedTuple):
    """The gradient that reaches dL/dh_t from outside the layer: the read-out, or the layer above.

    What reaches dL/dc_t from outside can only reach the last state of a sequence: torch's layers give c at no other.
    """

    rows: Reals
    """[R, S, B, H], mantissas"""
    exponents: Counts
    """[R, S, B]"""
    slots: Counts
    """[R, T, B]: which of the S rows arrives at timestep t, -1 for none."""
    last_c: Reals
    """[R, B, C], mantissas of what arrives at each sequence's last c; [R, 0, C] where nothing does."""
    last_exponents: Counts
    """[R, B]"""


class AdjointArrays(NamedTuple):
    """What the backward scan writes for every timestep."""

    dx: Reals
    """[R, T, B, I]: mantissas of dL/dx_t; [R, 0, B, I] where nobody asks for them."""
    exponents: Counts
    """[R, T, B], of each row"""
    squares: Floats
    """[R, T, B, 4]: squared norms of the mantissas, in the order of SQUARES."""
    clipped: Counts
    """[R, B]: entries of dL/da that the adjoint clip clamped."""
    first_h: Reals
    """[R, B, H]: mantissas of dL/dh before timestep 0."""
    first_c: Reals
    """[R, B, C]: mantissas of dL/dc before timestep 0."""
    first_exponents: Counts
    """[R, B]"""


class WeightSums(NamedTuple):
    """The weight gradients of each block of rows. The last row of each is the gradient of its bias."""

    W_ih: Reals
    """[items, I + 1, N], N = padded_width(G*H)"""
    W_hh: Reals
    """[items, H + 1, N]"""
    exponents: Counts
    """[items]"""


SQUARES = ("h", "c", "a", "a_clipped")
"""The last axis of `squares`: dL/dh_t, dL/dc_t, dL/da_t before and after the adjoint clip."""
