"""What a cell is: one timestep, as a definition or a step of its own, and (where there is one) a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from rnnlab.parts import Part
from rnnlab.scan.rule import Rule

if TYPE_CHECKING:
    from torch import Tensor

    from rnnlab.scan.recurrent import Recurrent

State = tuple["Tensor", ...]


class Cell(Part):
    """One recurrent cell: its gates, its states and its equation."""

    gates: ClassVar[tuple[str, ...]]
    states: ClassVar[tuple[str, ...]] = ("h",)
    forget_gate: ClassVar[str | None] = None

    @property
    def needs_recurrent_bias(self) -> bool:
        """Whether b_hh is needed: it is inside a product, so that b cannot replace it."""
        return False

    @property
    def owns_step(self) -> bool:
        """Whether the cell multiplies by its recurrent parameters itself, in `step`; else it has a `definition`."""
        return type(self).step is not Cell.step

    @property
    def recurrent(self) -> Mapping[str, tuple[str, ...]]:
        """By recurrent parameter, the gates that it is for: a matrix [H, H] for each, side by side.

        More than W_hh only for a cell that owns its step.
        """
        return {"W_hh": self.gates}

    @property
    def diagonal(self) -> tuple[str, ...]:
        """Which of `recurrent` are diagonal: a vector [H] for each gate in place of a matrix."""
        return ()

    def recurrent_count(self, hidden: int) -> int:
        """How many recurrent weights a layer of so many units has."""
        blocks = ((len(gates), 1 if name in self.diagonal else hidden) for name, gates in self.recurrent.items())
        return sum(count * rows * hidden for count, rows in blocks)

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        """One timestep in plain torch: the new state and the activated gates, each ([..., H], ...).

        gx: x_t W_ih + b, [..., G*H]. gh: h_{t-1} W_hh, with b_hh where the network has one, [..., G*H]. state: that
        of the timestep before, ([..., H], ...)."""
        raise NotImplementedError

    def step(self, gx: Tensor, state: State, parameters: Recurrent) -> tuple[State, State]:
        """The general form of `definition`, for a cell that does more than one product with h_{t-1} W_hh.

        gx [R, B, G*H] and the result as in `definition`, state ([R, B, H], ...). `parameters.product(rows, "W_hh")`
        multiplies rows [R, B, H] by one of the cell's `recurrent` parameters, and adds the b_hh of its gates where the
        network has one. So the gradients of those parameters are known at any size, and the adjoint clip acts on them.
        """
        raise NotImplementedError

    def rule(self) -> Rule | None:
        """The rule for the fast scan; None for a cell that only the general scan can run."""
        return None

    def nonlinearities(self) -> tuple[str, ...]:
        """The nonlinearity of each gate, in order: sigmoid, tanh, relu, linear, or any other by its name.

        The probe `saturation` measures the gates whose nonlinearity it knows. The default, `other`, is not among them.
        """
        return ("other",) * len(self.gates)
