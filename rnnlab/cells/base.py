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
    """The recurrent bias b_hh is not redundant: it stands inside a product."""

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        """One timestep in plain torch: pre-activations [..., G*H] and state ([..., H], ...) to new state and
        activated gates ([..., H], ...)."""
        raise NotImplementedError

    def rule(self) -> Rule | None:
        """The fast scan's rule, or None: the general scan then serves."""
        return None

    def nonlinearities(self) -> tuple[str, ...]:
        """The nonlinearity of each gate, in order: sigmoid, tanh, relu, linear, or any other by its name.

        The probe `saturation` counts the gates whose nonlinearity it has a rule for; without this method, none.
        """
        return ("other",) * len(self.gates)
