"""The recurrent cells.

base    what a cell is: one timestep, and where there is one a rule
rnn     the simple recurrent network
lstm    long short-term memory
gru     the gated recurrent unit
mgu     the minimal gated unit
fused_modes  which of them torch has as a fused layer
"""

from rnnlab.cells.base import Cell, State
from rnnlab.cells.gru import Gru
from rnnlab.cells.lstm import Lstm
from rnnlab.cells.mgu import Mgu
from rnnlab.cells.rnn import Rnn
from rnnlab.parts import Table, table

CELLS: Table[Cell] = table(Rnn, Lstm, Gru, Mgu)

__all__ = ["CELLS", "Cell", "Gru", "Lstm", "Mgu", "Rnn", "State"]
