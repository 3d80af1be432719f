"""The recurrent cells.

base    what a cell is: one timestep, and where there is one a rule
rnn     the simple recurrent network
lstm    long short-term memory
gru     the gated recurrent unit
mgu     the minimal gated unit
mingru  the gated unit without a recurrent product
lru     the linear recurrent unit
antisymmetric   a step along a differential equation that neither damps nor excites
cornn   coupled oscillators
fused_modes  which of them torch has as a fused layer
"""

from rnnlab.cells.antisymmetric import Antisymmetric
from rnnlab.cells.base import Cell, State
from rnnlab.cells.cornn import CoRnn
from rnnlab.cells.gru import Gru
from rnnlab.cells.lru import Lru
from rnnlab.cells.lstm import Lstm
from rnnlab.cells.mgu import Mgu
from rnnlab.cells.mingru import MinGru
from rnnlab.cells.rnn import Rnn
from rnnlab.parts import Table, table

CELLS: Table[Cell] = table(Rnn, Lstm, Gru, Mgu, MinGru, Lru, Antisymmetric, CoRnn)

__all__ = ["CELLS", "Antisymmetric", "Cell", "CoRnn", "Gru", "Lru", "Lstm", "Mgu", "MinGru", "Rnn", "State"]
