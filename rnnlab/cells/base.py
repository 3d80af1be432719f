"""What a cell is: one timestep, as a definition or a step of its own, and (where there is one) a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from rnnlab.parts import Part
from rnnlab.scan.rule import Rule

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from rnnlab.inits import Init
    from rnnlab.scan.recurrent import Recurrent

State = tuple["Tensor", ...]


class Cell(Part):
    """One recurrent cell: its gates, its states and its equation."""

    gates: ClassVar[tuple[str, ...]]
    states: ClassVar[tuple[str, ...]] = ("h",)
    forget_gate: ClassVar[str | None] = None
    parametrised: ClassVar[bool] = False
    """Whether `weights` computes what multiplies from the parameters; else the parameters are that."""
    recurrent_init: ClassVar[str | None] = None
    """The one initializer that its recurrent parameters can start with; None where any for matrices will do."""

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
        """By what multiplies states, the gates that it is for: a matrix [H, H] for each, side by side.

        Another than W_hh only for a cell that owns its step; {} for one without a recurrent product, nor b_hh.
        """
        return {"W_hh": self.gates}

    @property
    def diagonal(self) -> tuple[str, ...]:
        """Which of `recurrent` are diagonal: a vector [H] for each gate in place of a matrix."""
        return ()

    def draw_recurrent(self, hidden: int, init: Init, rng: np.random.Generator) -> dict[str, np.ndarray[Any, Any]]:
        """The initial recurrent parameters of a layer, by name.

        A matrix [H, n*H] for n gates; a diagonal one, [1, n*H], is n*H matrices of one unit.
        """
        drawn = {}
        for name, gates in self.recurrent.items():
            size = 1 if name in self.diagonal else hidden
            drawn[name] = init.draw(size, size, tuple(gate for gate in gates for _ in range(hidden // size)), rng)
        return drawn

    def weights(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the scans multiply by and add, all of a layer's, from its parameters [R, ...], each by name.

        Differentiable, so that a gradient with respect to the weights goes on to the parameters.
        """
        return dict(parameters)

    def recurrent_count(self, hidden: int) -> int:
        """How many recurrent parameters a layer of so many units has."""
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
