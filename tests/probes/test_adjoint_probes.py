"""`paths`, `contributions` and Omega of `recurrent`, which read the adjoint, against autograd over a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from oracles import ALL_CELLS, F64, cell_name, step
from scans import LAST
from torch import Tensor
from views import ALL, LAST_VALUE, parameters_of, view_of

from rnnlab.cells import CELLS, Cell, Lstm
from rnnlab.gradients.view import UpdateView
from rnnlab.network.objective import Objective
from rnnlab.probes import Contributions, Paths, RecurrentWeights

cells = pytest.mark.parametrize("cell", ALL_CELLS, ids=cell_name)
# The others make what they multiply by of other parameters, and the plain loop has a copy of those.
plain_cells = pytest.mark.parametrize(
    "cell", [cell for cell in ALL_CELLS if cell.recurrent and not cell.parametrised], ids=cell_name
)
objectives = pytest.mark.parametrize("objective", [LAST, LAST_VALUE, ALL], ids=["class", "last", "all"])


class Plain:
    """One replica in a plain loop, in which every timestep of every layer has a copy of the parameters of its own."""

    def __init__(self, view: UpdateView, r: int, *, detach_h: int | None = None) -> None:
        """detach_h: a layer in which gates read the last h as a constant, so that dL/dc goes by forget gates alone."""
        cell, L, T = view.network.cell, view.network.shape.layers, view.batch.x.shape[1]
        self.copies: list[list[dict[str, Tensor]]] = []
        self.states: list[list[tuple[Tensor, ...]]] = []
        rows = list(view.batch.x[r])
        for layer in range(L):
            p = parameters_of(view.network, layer, r)
            zero = torch.zeros(rows[0].shape[0], view.network.shape.hidden, dtype=F64)
            state: tuple[Tensor, ...] = (zero.requires_grad_(),) * len(cell.states)
            copies, states = [], [state]
            for t in range(T):
                copies.append({name: value.detach().clone().requires_grad_() for name, value in p.items()})
                read = (state[0].detach(), *state[1:]) if layer == detach_h else state
                state = step(cell, rows[t], read, copies[t])
                states.append(state)
            self.copies.append(copies)
            self.states.append(states)
            rows = [state[0] for state in states[1:]]
        read_out = view.objective.read_out(view.lengths, T)
        one = [part[r : r + 1] for part in (read_out.timesteps, read_out.slots)]
        placed = type(read_out)(*one)
        top = torch.stack(rows)[None]
        outputs = placed.gather(top) @ view.network.parameters["readout.W"][r] + view.network.parameters["readout.b"][r]
        targets = view.objective.targets(view.batch.y[r : r + 1], placed)
        self.loss = view.objective.losses(outputs, targets, placed)[0]

    def gradient(self, wanted: list[Tensor]) -> list[Tensor]:
        return list(
            torch.autograd.grad(self.loss, wanted, retain_graph=True, allow_unused=True, materialize_grads=True)
        )


def log10_norm(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor).log10())


@plain_cells
@objectives
def test_each_timesteps_contribution_is_that_of_its_own_copy_of_the_weights(cell: Cell, objective: Objective) -> None:
    view = view_of(cell, objective, T=6)
    measured = Contributions().measure(view)
    for r in range(2):
        plain, sizes, wholes = Plain(view, r), np.zeros(6), []
        for rows in measured.tables[r]:
            parts = plain_parts(plain, rows.layer, rows.part)
            whole = torch.stack(parts).sum(0)
            wholes.append(whole.flatten())
            sizes += np.array([float(part.norm()) ** 2 for part in parts])
            np.testing.assert_allclose(rows.values["log10_norm"], [log10_norm(part) for part in parts], atol=1e-9)
            for t, part in enumerate(parts):
                expected = float((part * whole).sum() / part.norm() / whole.norm())
                np.testing.assert_allclose(rows.values["cosine"][t], expected, atol=1e-9)
        cancelled = 1 - float(torch.cat(wholes).norm()) / np.sqrt(sizes).sum()
        assert measured.figures["cancelled"][r] == pytest.approx(cancelled, abs=1e-9)


def plain_parts(plain: Plain, layer: int, name: str) -> list[Tensor]:
    return plain.gradient([copy[name] for copy in plain.copies[layer]])


@pytest.mark.parametrize("cell", [cell for cell in ALL_CELLS if not cell.recurrent], ids=cell_name)
def test_a_cell_without_recurrent_matrices_has_no_contributions(cell: Cell) -> None:
    measured = Contributions().measure(view_of(cell))
    assert list(measured.tables) == [[], []]
    assert np.isnan(measured.figures["cancelled"]).all()


@objectives
def test_paths_split_dldc_into_forget_gates_alone_and_all_else(objective: Objective) -> None:
    """A_t is autograd's with h detached in the gates of the layer; what is above the layer reads it all the same."""
    view = view_of(Lstm(), objective, T=7)
    tables = Paths().measure(view).tables
    for r in range(2):
        for rows in tables[r]:
            whole, cut = Plain(view, r), Plain(view, r, detach_h=rows.layer)
            alone = cut.gradient([state[1] for state in cut.states[rows.layer][1:]])
            for t, total in enumerate(whole.gradient([state[1] for state in whole.states[rows.layer][1:]])):
                others = total - alone[t]
                # At a read-out of the last timestep nothing else is left but rounding errors.
                others = others if others.norm() > 1e-14 * total.norm() else torch.zeros_like(others)
                expected = [log10_norm(total), log10_norm(alone[t]), log10_norm(others)]
                result = [rows.values[name][t] for name in ("log10_total", "log10_forget", "log10_others")]
                np.testing.assert_allclose(result, expected, atol=1e-8)
                share = float(alone[t].norm() / (alone[t].norm() + others.norm()))
                assert rows.values["forget_share"][t] == pytest.approx(share, abs=1e-9)
                if others.any():
                    cosine = float((alone[t] * others).sum() / alone[t].norm() / others.norm())
                    assert rows.values["cosine"][t] == pytest.approx(cosine, abs=1e-8)


@pytest.mark.parametrize("name", [name for name in CELLS if name != "lstm"])
def test_other_cells_have_no_paths(name: str) -> None:
    assert list(Paths().measure(view_of(CELLS[name]())).tables) == [[], []]


def test_paths_are_right_where_float64_cannot_hold_them() -> None:
    """f = 1e-4 at every timestep: A_t is f^lag times that at the end, down to 1e-400."""
    view = view_of(Lstm(), T=101, B=2, R=1, layers=1, hidden=3, ragged=False)
    network = view.network.parameters
    for name in ("W_ih", "W_hh"):
        network[f"layer0.{name}"][0, :, 3:6] = 0
    network["layer0.b"][0, 3:6] = float(np.log(1e-4 / (1 - 1e-4)))
    network["layer0.b_hh"][0, 3:6] = 0
    (rows,) = Paths().measure(view).tables[0]
    forget = np.asarray(rows.values["log10_forget"])
    np.testing.assert_allclose(forget - forget[-1], -4.0 * np.arange(100, -1, -1), rtol=0, atol=1e-9)


@cells
def test_omega_is_pascanus_over_the_states(cell: Cell) -> None:
    view = view_of(cell, T=6)
    result = RecurrentWeights().measure(view).figures["omega"]
    for r in range(2):
        total = 0.0
        for layer in range(2):
            replay = view.replay()[layer]
            adjoint = view.unrolled.rows[layer]  # type: ignore[index]
            for b in range(3):
                for t in range(1, int(view.lengths[r, b])):
                    d = adjoint.outputs.mantissa[r, t, b]
                    if d.norm() > 0:
                        total += float(((replay.jacobian(t, r, b).T @ d).norm() / d.norm() - 1) ** 2)
        assert result[r] == pytest.approx(total / 3, rel=1e-10)


@pytest.mark.parametrize("objective", [LAST_VALUE, ALL], ids=["last", "all"])
@cells
def test_the_rows_that_are_kept_are_autograds(cell: Cell, objective: Objective) -> None:
    """dL/ds_t of a state that is what the next timestep and the read-out take, so that c counts from after t alone."""
    view = view_of(cell, objective, T=5)
    for r in range(2):
        plain = Plain(view, r)
        for layer in range(2):
            adjoint = view.unrolled.rows[layer]  # type: ignore[index]
            H = view.network.shape.hidden
            for t, state in enumerate(plain.states[layer][1:]):
                rows = adjoint.totals.mantissa[r, t] * adjoint.totals.exponent[r, t].double().exp2()[:, None]
                for k, total in enumerate(plain.gradient(list(state))):
                    torch.testing.assert_close(rows[:, k * H : (k + 1) * H], total, rtol=1e-9, atol=1e-16)
                kept = adjoint.outputs.mantissa[r, t] * adjoint.outputs.exponent[r, t].double().exp2()[:, None]
                torch.testing.assert_close(kept[:, :H], rows[:, :H], rtol=1e-12, atol=0)
                if len(state) > 1:
                    through_h = torch.autograd.grad(
                        state[0], state[1], rows[:, :H], retain_graph=True, materialize_grads=True, allow_unused=True
                    )[0]
                    torch.testing.assert_close(kept[:, H:] + through_h, rows[:, H:], rtol=1e-9, atol=1e-16)
