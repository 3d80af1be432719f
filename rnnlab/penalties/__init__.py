"""Terms that are added to the loss for their gradient, so that gradients keep their size on the way back.

base      what a penalty is, and what it gives
omega     Pascanu's Omega: the adjoint keeps its norm
floss     gradient flossing: Lyapunov exponents drawn to zero
"""

from rnnlab.parts import Table, table
from rnnlab.penalties.base import NoPenalty, Penalty, Term
from rnnlab.penalties.floss import Floss
from rnnlab.penalties.omega import Omega

PENALTIES: Table[Penalty] = table(NoPenalty, Omega, Floss)

__all__ = ["PENALTIES", "Floss", "NoPenalty", "Omega", "Penalty", "Term"]
