"""The recurrent cells."""

from rnnlab.cells.base import Cell, State
from rnnlab.cells.gru import Gru
from rnnlab.cells.lstm import Lstm
from rnnlab.cells.rnn import Rnn
from rnnlab.parts import Table, table

CELLS: Table[Cell] = table(Rnn, Lstm, Gru)

__all__ = ["CELLS", "Cell", "Gru", "Lstm", "Rnn", "State"]
