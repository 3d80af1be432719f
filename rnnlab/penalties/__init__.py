"""Terms that are added to the loss for their gradient, so that gradients keep their size on the way back.

base      what a penalty is, and what it gives
omega     Pascanu's Omega: the adjoint keeps its norm
"""

from rnnlab.parts import Table, table
from rnnlab.penalties.base import NoPenalty, Penalty, Term
from rnnlab.penalties.omega import Omega

PENALTIES: Table[Penalty] = table(NoPenalty, Omega)

__all__ = ["PENALTIES", "NoPenalty", "Omega", "Penalty", "Term"]
