"""torch's fused layers that have the equations of a cell here, by the names that torch gives them."""

from __future__ import annotations

from collections.abc import Mapping

from rnnlab.cells.base import Cell
from rnnlab.cells.gru import Gru
from rnnlab.cells.lstm import Lstm
from rnnlab.cells.rnn import Rnn

FUSED_MODES: Mapping[str, Cell] = {
    "RNN_TANH": Rnn(nonlinearity="tanh"),
    "RNN_RELU": Rnn(nonlinearity="relu"),
    "LSTM": Lstm(),
    "GRU": Gru(),
}
"""By the mode of torch's fused module, the cell that it runs."""


def fused_mode(cell: Cell) -> str | None:
    """The mode of the fused module that runs this cell; None where torch has none.

    >>> fused_mode(Rnn(nonlinearity="relu")), fused_mode(Gru(reset="before"))
    ('RNN_RELU', None)
    """
    return next((mode for mode, known in FUSED_MODES.items() if known == cell), None)
