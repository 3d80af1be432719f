"""One layer in one direction, replayed: its states forward, its gradients back, and their norms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rnnlab.cells import Cell
from rnnlab.gradients.norm_tables import compiled_columns
from rnnlab.scan.fast import scan as fast
from rnnlab.scan.fast.layer_arrays import SQUARES
from rnnlab.scan.layer import Layer
from rnnlab.scan.scaled import Scaled
from rnnlab.watching.sequences import add_scaled, reverse, timesteps_of

Columns = dict[str, dict[str, Any]]
"""By state, the columns of gradients.csv, each [T]."""


@dataclass(frozen=True)
class Passed:
    """What came out of one layer and direction.

    W_hh [G*H, H], as torch's weight_hh; first: the gradients [B, H] of the initial states, by name. total, direct:
    what goes on to the layer below, [T, B, I].
    """

    columns: Columns
    W_hh: Scaled
    first: dict[str, Scaled]
    total: Scaled
    direct: Scaled


class LayerReplay:
    """One layer in one direction; its memory is kept for the next replay."""

    def __init__(self, cell: Cell, reverse: bool) -> None:
        self._cell, self._reverse, self._work = cell, reverse, fast.Workspace()

    def forward(self, layer: Layer, x: Tensor, lengths: Tensor, first: tuple[Tensor, ...]) -> Tensor:
        """The states h [T, B, H] of sequences x [T, B, I] from the initial states `first`, each [B, H]."""
        rule = self._cell.rule()
        assert rule is not None
        self._lengths, self._layer = lengths, layer
        rows = self._turned(x).contiguous()[None]
        states = tuple(state.to(x.dtype)[None] for state in first) or None
        self._trace = fast.forward(rule, fast.Inputs(rows), layer, lengths[None], self._work, states)
        return self._turned(self._trace.hs[0, 1:])

    def backward(self, total: Scaled, direct: Scaled, last: dict[str, Tensor]) -> Passed:
        """From the gradients of the states [T, B, H] that come from outside the layer.

        total: through every path; direct: through no other timestep. last: by state, the gradients [B, H] of what the
        layer gives as its last states.
        """
        total, direct = (self._arriving(rows, last.get("h")) for rows in (total, direct))
        slots = timesteps_of(self._lengths, total.mantissa.shape[1])[None]
        last_c = None if "c" not in last else Scaled.near(last["c"].double()[None], self._dtype)
        adjoint = fast.backward(self._trace, fast.Upstream(total, slots, last_c), self._work, wants_dx=True)
        squares, dgx = fast.direct(self._trace, direct, slots)
        sizes = {"h": (squares[..., 0], direct.exponent)}
        if "c" in self._cell.states:
            sizes["c"] = self._direct_c(squares[..., 1], direct, last.get("c"))
        through = (dgx[0].flatten(0, 1) @ self._layer.W_ih[0].t()).unflatten(0, dgx.shape[1:3])
        states = {"h": adjoint.first_h, "c": adjoint.first_c}
        return Passed(
            self._columns(adjoint, sizes, slots),
            # Copies, since the next replay uses the same memory, and records are checked after all replays of a pass.
            Scaled(adjoint.sums["W_hh"][0].t().clone(), adjoint.sums_exponent.clone()),
            {name: Scaled(states[name][0].clone(), adjoint.first_exponents[0].clone()) for name in self._cell.states},
            self._leaving(Scaled(adjoint.dx[0].double(), adjoint.exponents[0])),
            self._leaving(Scaled(through.double(), direct.exponent[0])),
        )

    @property
    def _dtype(self) -> torch.dtype:
        return self._trace.hs.dtype

    def _turned(self, rows: Tensor) -> Tensor:
        """Between the order of the sequence and the order in which this direction runs through it."""
        return reverse(rows, self._lengths) if self._reverse else rows

    def _arriving(self, rows: Scaled, last_h: Tensor | None) -> Scaled:
        """Rows in the order of the scan, with the gradient of the last state added: [1, T, B, H]."""
        mantissa, exponent = self._turned(rows.mantissa), self._turned(rows.exponent)
        if last_h is not None:
            placed = torch.zeros_like(mantissa)
            placed[self._lengths - 1, torch.arange(len(last_h))] = last_h.to(placed)
            mantissa, exponent = add_scaled(Scaled(mantissa, exponent), Scaled(placed, torch.zeros_like(exponent)))
        near, shift = Scaled.near(mantissa.double()[None], self._dtype)
        return Scaled(near, exponent[None] + shift)

    def _leaving(self, rows: Scaled) -> Scaled:
        """Rows [T, B, I] in the order of the sequence."""
        return Scaled(self._turned(rows.mantissa).clone(), self._turned(rows.exponent).clone())

    def _direct_c(self, squares: Tensor, direct: Scaled, last_c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Squared norms and exponents [1, T, B] of the direct gradient of c, that of the last c included."""
        if last_c is None:
            return squares, direct.exponent
        rows, end = torch.arange(len(last_c)), self._lengths - 1
        o, c = self._trace.gates()[3][0, end, rows].double(), self._trace.cs[0, end + 1, rows].double()
        of_h = direct.mantissa[0, end, rows].double() * o * (1 - c.tanh().square())
        both = add_scaled(Scaled(of_h, direct.exponent[0, end, rows]), Scaled(last_c, self._lengths * 0))
        squares, exponents = squares.clone(), direct.exponent.clone()
        squares[0, end, rows] = both.mantissa.square().sum(-1)
        exponents[0, end, rows] = both.exponent
        return squares, exponents

    def _columns(self, adjoint: fast.Adjoint, direct: dict[str, tuple[Tensor, Tensor]], slots: Tensor) -> Columns:
        by_state = {}
        for state, (squares, exponents) in direct.items():
            total = adjoint.squares[0, ..., SQUARES.index(state)], adjoint.exponents[0], squares[0], exponents[0]
            of_total, e_total, of_direct, e_direct = (self._turned(rows)[None] for rows in total)
            columns = compiled_columns(
                {state: of_total}, e_total, {state: of_direct}, e_direct, self._lengths[None], slots
            )
            by_state[state] = {name: values[0] for name, values in columns[state].items()}
        return by_state
