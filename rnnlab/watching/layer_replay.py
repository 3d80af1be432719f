"""One layer in one direction, replayed: its states forward, its gradients back, and their norms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.cells import Cell
from rnnlab.gradients.norm_tables import Floats, compiled_columns
from rnnlab.gradients.own_lag import RowNorms, last_nonzero, own_columns
from rnnlab.logspace import log10_of_squares
from rnnlab.scan.fast import scan as fast
from rnnlab.scan.fast.layer_arrays import SQUARES
from rnnlab.scan.layer import Layer
from rnnlab.scan.scaled import Scaled, add
from rnnlab.watching.sequences import reverse

Columns = dict[str, dict[str, Any]]
"""By state, the columns of gradients.csv, each [T]."""


class Rows(NamedTuple):
    """Gradients that reach some timesteps, [S, B, N], in the order of the sequence; all others are zero.

    times: int64 [S], ascending.
    """

    scaled: Scaled
    times: Tensor


@dataclass(frozen=True)
class Passed:
    """What came out of one layer and direction.

    W_hh [G*H, H], as torch's weight_hh; first: the gradients [B, H] of the initial states, by name. total, direct:
    what goes on to the layer below, [T, B, I] and [S, B, I], where it was asked for. total is memory of the replay,
    good until its next one.
    """

    columns: Columns
    W_hh: Scaled
    first: dict[str, Scaled]
    total: Rows | None
    direct: Rows | None


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

    def backward(self, total: Rows, direct: Rows, last: dict[str, Tensor], *, wants_dx: bool) -> Passed:
        """From the gradients of the states that come from outside the layer.

        total: through every path; direct: through no other timestep. last: by state, the gradients [B, H] of what the
        layer gives as its last states, whose timesteps are then among those of both. wants_dx: whether anything is
        asked for that goes on to what is below.
        """
        times, of_direct = self._times(direct), self._arriving(direct, last.get("h"))
        slots, of_total = times, of_direct
        if total is not direct:
            slots, of_total = self._times(total), self._arriving(total, last.get("h"))
        last_c = None if "c" not in last else Scaled.near(last["c"].double()[None], self._dtype)
        upstream = fast.Upstream(of_total, self._slots(slots)[None], last_c)
        adjoint = fast.backward(self._trace, upstream, self._work, wants_dx=wants_dx)
        # One timestep back is what reaches c, and what is below; h itself needs none.
        through = wants_dx or "c" in self._cell.states
        squares, dgx = fast.direct(self._trace, of_direct, times[None], through=through)
        sizes = {"h": (squares[..., 0], of_direct.exponent)}
        if "c" in self._cell.states:
            sizes["c"] = self._direct_c(squares[..., 1], of_direct, direct.times, last.get("c"))
        states, W_hh = {"h": adjoint.first_h, "c": adjoint.first_c}, adjoint.sums()["W_hh"]
        return Passed(
            self._columns(adjoint, sizes, times),
            # Copies, since the next replay uses the same memory, and records are checked after all replays of a pass.
            Scaled(W_hh.mantissa[0].t(), W_hh.exponent),
            {name: Scaled(states[name][0].clone(), adjoint.first_exponents[0].clone()) for name in self._cell.states},
            *(self._leaving(adjoint, dgx, of_direct.exponent[0], direct.times) if wants_dx else (None, None)),
        )

    @property
    def _dtype(self) -> torch.dtype:
        return self._trace.hs.dtype

    def _turned(self, rows: Tensor) -> Tensor:
        """Between the order of the sequence and the order in which this direction runs through it."""
        return reverse(rows, self._lengths) if self._reverse else rows

    def _times(self, rows: Rows) -> Tensor:
        """int64 [S, B]: the timestep of the scan that each row belongs to, -1 beyond a sequence's end."""
        times = rows.times[:, None]
        return self._turned_times(times.expand(-1, len(self._lengths)).where(times < self._lengths, -1))

    def _turned_times(self, times: Tensor) -> Tensor:
        """Timesteps [S, B], -1 for none, between the order of the sequence and that of the scan."""
        return torch.where(times < 0, times, self._lengths - 1 - times) if self._reverse else times

    def _slots(self, times: Tensor) -> Tensor:
        """int64 [T, B]: which row each timestep of the scan takes, -1 for none."""
        T, B = self._trace.hs.shape[1] - 1, times.shape[1]
        # The row below the last timestep takes what lies beyond a sequence's end.
        slots, rows = torch.full((T + 1, B), -1), torch.arange(len(times))[:, None]
        return slots.scatter_(0, times.where(times >= 0, T), rows.expand_as(times))[:T]

    def _end(self, times: Tensor) -> Tensor:
        """int64 [B]: which row belongs to the last timestep of the scan."""
        return torch.searchsorted(times, self._lengths * 0 if self._reverse else self._lengths - 1)

    def _arriving(self, rows: Rows, last_h: Tensor | None) -> Scaled:
        """Rows [1, S, B, H] for the scan, with the gradient of the last state added."""
        mantissa, exponent = rows.scaled
        if last_h is not None:
            placed = torch.zeros_like(mantissa)
            placed[self._end(rows.times), torch.arange(len(last_h))] = last_h.to(placed)
            mantissa, exponent = add(rows.scaled.to(torch.float64), Scaled(placed.double(), torch.zeros_like(exponent)))
        near, shift = Scaled.near(mantissa[None], self._dtype)
        return Scaled(near, exponent[None] + shift)

    def _leaving(self, adjoint: fast.Adjoint, dgx: Tensor, exponent: Tensor, times: Tensor) -> tuple[Rows, Rows]:
        """Total and direct rows for what is below, in the order of the sequence."""
        dx, exponents = self._turned(adjoint.dx[0]), self._turned(adjoint.exponents[0])
        through = (dgx[0].flatten(0, 1) @ self._layer.W_ih[0].t()).unflatten(0, dgx.shape[1:3])
        return Rows(Scaled(dx, exponents), torch.arange(len(dx))), Rows(Scaled(through, exponent), times)

    def _direct_c(self, squares: Tensor, direct: Scaled, times: Tensor, last_c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Squared norms and exponents [1, S, B] of the direct gradient of c, that of the last c included."""
        if last_c is None:
            return squares, direct.exponent
        rows, end, at = torch.arange(len(last_c)), self._lengths - 1, self._end(times)
        o, c = self._trace.gates()[3][0, end, rows].double(), self._trace.cs[0, end + 1, rows].double()
        of_h = direct.mantissa[0, at, rows].double() * o * (1 - c.tanh().square())
        both = add(Scaled(of_h, direct.exponent[0, at, rows]), Scaled(last_c.double(), self._lengths * 0))
        squares, exponents = squares.clone(), direct.exponent.clone()
        squares[0, at, rows] = both.mantissa.square().sum(-1)
        exponents[0, at, rows] = both.exponent
        return squares, exponents

    def _columns(self, adjoint: fast.Adjoint, direct: dict[str, tuple[Tensor, Tensor]], times: Tensor) -> Columns:
        """times [S, B]: the timesteps of the direct gradients, in the order of the scan."""
        by_state, e_total = {}, self._turned(adjoint.exponents[0])[None]
        logs = {state: self._at_all_timesteps(*rows, times) for state, rows in direct.items()}
        # Of the last c too there is a direct gradient.
        ends = last_nonzero(np.maximum.reduce(list(logs.values())))
        for state, (squares, e_direct) in direct.items():
            of_total = self._turned(adjoint.squares[0, ..., SQUARES.index(state)])[None]
            columns = compiled_columns(
                {state: of_total},
                e_total,
                {state: squares},
                e_direct,
                self._lengths[None],
                self._turned_times(times)[None],
            )
            of_scan = RowNorms(adjoint.squares[..., SQUARES.index(state)], adjoint.exponents, direct=logs[state])
            own = self._own_columns(columns[state], ends, of_scan)
            by_state[state] = {name: values[0] for name, values in {**columns[state], **own}.items()}
        return by_state

    def _own_columns(self, columns: dict[str, Any], ends: NDArray[np.int64], of_scan: RowNorms) -> dict[str, Any]:
        """The columns [1, T] by own lag, from those by timestep; ends [1, B] and of_scan in the order of the scan."""
        back = slice(None, None, -1 if self._reverse else 1)
        same = not self._reverse or bool((self._lengths == self._lengths[0]).all())
        in_scan = {name: values[:, back] for name, values in columns.items()}
        own = own_columns(in_scan, ends, lambda: of_scan, same_lengths=same)
        # The same arrays where they are the same figures, so that they are written down once.
        known = {id(values): columns[name] for name, values in in_scan.items()}
        return {name: known.get(id(values), values[:, back]) for name, values in own.items()}

    def _at_all_timesteps(self, squares: Tensor, exponents: Tensor, times: Tensor) -> Floats:
        """log10 norms [1, T, B] of rows [1, S, B] at timesteps [S, B]; -inf at all others."""
        if not len(times):
            return np.full((1, self._trace.hs.shape[1] - 1, len(self._lengths)), -np.inf)
        logs = torch.from_numpy(log10_of_squares(squares.numpy(), exponents.numpy()))[0]
        slots = self._slots(times)
        at_all: Floats = logs.gather(0, slots.clamp(min=0)).where(slots >= 0, -torch.inf).numpy()[None]
        return at_all
