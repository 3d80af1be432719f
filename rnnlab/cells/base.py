"""What a cell is: a definition of one timestep, and (where there is one) a rule for the fast scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rnnlab.parts import Part
from rnnlab.scan.rule import Rule

if TYPE_CHECKING:
    from torch import Tensor

State = tuple["Tensor", ...]


class Cell(Part):
    """One recurrent cell: its gates, its states and its equation."""

    gates: ClassVar[tuple[str, ...]]
    states: ClassVar[tuple[str, ...]] = ("h",)
    forget_gate: ClassVar[str | None] = None
    needs_recurrent_bias: ClassVar[bool] = False
    """Whether b_hh is needed: it is inside a product, so that b cannot replace it."""

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        """One timestep in plain torch: the new state and the activated gates, each ([..., H], ...).

        gx: x_t W_ih + b, [..., G*H]. gh: h_{t-1} W_hh, with b_hh where the network has one, [..., G*H]. state: that
        of the timestep before, ([..., H], ...)."""
        raise NotImplementedError

    def rule(self) -> Rule | None:
        """The rule for the fast scan; None for a cell that only the general scan can run."""
        return None

    def nonlinearities(self) -> tuple[str, ...]:
        """The nonlinearity of each gate, in order: sigmoid, tanh, relu, linear, or any other by its name.

        The probe `saturation` measures the gates whose nonlinearity it knows. The default, `other`, is not among them.
        """
        return ("other",) * len(self.gates)
