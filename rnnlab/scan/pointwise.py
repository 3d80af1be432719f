"""The nonlinearities that a rule is written with, on a row of numbers, in place.

Written twice under one name: in numpy, so that a rule reads and runs as plain Python, and (`fast/nonlinearities.py`) as
loops that LLVM turns into vector code, since a call of libm per element costs more than the whole recurrent product.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.floating]


def sigmoid(row: Row) -> None:
    """a <- 1 / (1 + exp(-a)), shape [n], in place."""
    row[:] = 1 / (1 + np.exp(-row))


def tanh(row: Row) -> None:
    """a <- tanh(a), shape [n], in place."""
    row[:] = np.tanh(row)


def add(a: Row, b: Row, out: Row) -> None:
    """out <- a + b, shapes [n]."""
    out[:] = a + b


def copy(a: Row, out: Row) -> None:
    """out <- a, shapes [n]."""
    out[:] = a
