"""Cells that multiply by their recurrent weights themselves: under the clip, beyond the format, with any weights.

The loops are written apart from the package, in float64. What these cells share with all others is tested over the
table of cells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from oracles import ALL_CELLS, F64, cell_name, make_batch, make_network, step
from torch import Tensor

from rnnlab.cells import Cell, CoRnn, Gru, Mgu, State
from rnnlab.gradients.passes import Sequences, general_pass
from rnnlab.gradients.readings import curves
from rnnlab.inits import Inits
from rnnlab.network.network import Network, Shape, draw
from rnnlab.network.objective import Objective
from rnnlab.scan.recurrent import Recurrent

LAST = Objective("class", "last", per_timestep=False)
ALL = Objective("class", "all", per_timestep=False)
OWN = [cell for cell in ALL_CELLS if cell.owns_step]
DAMPED = CoRnn(dt=0.5, gamma=4, epsilon=1.94)  # at rest its Jacobian has |eigenvalues| sqrt(1 - dt epsilon) = 0.17
own_cells = pytest.mark.parametrize("cell", OWN, ids=cell_name)
Clamp = Callable[[Tensor], Tensor]


class Both(Cell):
    """Two matrices and a diagonal: h_t = tanh(a_h + h W_hh + s * (h V) + h * w) with s = sigmoid(a_s + h * w_s)."""

    gates: ClassVar[tuple[str, ...]] = ("h", "s")
    name: Literal["both"] = "both"

    @property
    def recurrent(self) -> Mapping[str, tuple[str, ...]]:
        return {"W_hh": ("h",), "V": ("h",), "w": ("h", "s")}

    @property
    def diagonal(self) -> tuple[str, ...]:
        return ("w",)

    def step(self, gx: Tensor, state: State, parameters: Recurrent) -> tuple[State, State]:
        (h,) = state
        a, s = gx.chunk(2, -1)
        of_h, of_s = parameters.product(h, "w").chunk(2, -1)
        s = (s + of_s).sigmoid()
        h = (a + parameters.product(h, "W_hh") + s * parameters.product(h, "V") + of_h).tanh()
        return (h,), (h, s)


def both_step(x: Tensor, h: Tensor, p: dict[str, Tensor], clamp: Clamp) -> Tensor:
    H, gx = h.shape[-1], clamp(x @ p["W_ih"] + p["b"])
    w, b = p["w"][0], p["b_hh"]
    s = torch.sigmoid(gx[:, H:] + clamp(h * w[H:] + b[H:]))
    # Of the two parameters of this gate b_hh goes with the first.
    return torch.tanh(gx[:, :H] + clamp(h @ p["W_hh"] + b[:H]) + s * clamp(h @ p["V"]) + clamp(h * w[:H]))


def gru_step(x: Tensor, h: Tensor, p: dict[str, Tensor], clamp: Clamp) -> Tensor:
    H, gx = h.shape[-1], clamp(x @ p["W_ih"] + p["b"])
    b = p.get("b_hh", torch.zeros(3 * H, dtype=F64))
    r, z = torch.sigmoid(gx[:, : 2 * H] + clamp(h @ p["W_hh"] + b[: 2 * H])).chunk(2, -1)
    n = torch.tanh(gx[:, 2 * H :] + clamp((r * h) @ p["W_hn"] + b[2 * H :]))
    return z * h + (1 - z) * n


def mgu_step(x: Tensor, h: Tensor, p: dict[str, Tensor], clamp: Clamp) -> Tensor:
    H, gx = h.shape[-1], clamp(x @ p["W_ih"] + p["b"])
    b = p.get("b_hh", torch.zeros(2 * H, dtype=F64))
    f = torch.sigmoid(gx[:, :H] + clamp(h @ p["W_hh"] + b[:H]))
    return (1 - f) * h + f * torch.tanh(gx[:, H:] + clamp((f * h) @ p["W_hn"] + b[H:]))


def mingru_step(x: Tensor, h: Tensor, p: dict[str, Tensor], clamp: Clamp) -> Tensor:
    H, gx = h.shape[-1], clamp(x @ p["W_ih"] + p["b"])
    z = torch.sigmoid(gx[:, :H])
    return (1 - z) * h + z * gx[:, H:]


def cornn_step(x: Tensor, y: Tensor, z: Tensor, p: dict[str, Tensor], clamp: Clamp) -> tuple[Tensor, Tensor]:
    gx, b = clamp(x @ p["W_ih"] + p["b"]), p.get("b_hh", torch.zeros_like(p["b"]))
    force = torch.tanh(gx + clamp(y @ p["W_hh"] + b) + clamp(z @ p["W_zh"]))
    z = z + 0.042 * (force - 2.7 * y - 4.7 * z)
    return y + 0.042 * z, z


STEPS = {"gru": gru_step, "mgu": mgu_step, "both": both_step, "mingru": mingru_step}


def clamped_loop(network: Network, batch: Sequences, bound: float) -> tuple[dict[str, Tensor], Tensor]:
    """The gradient of each parameter [R, ...] where dL/da is clamped on its way back, and the share of what was."""
    gradients: dict[str, list[Tensor]] = {name: [] for name in network.parameters}
    shares = []
    for r in range(network.replicas):
        beyond: list[Tensor] = []
        leaves = {name: value[r].clone().requires_grad_() for name, value in network.parameters.items()}
        rows, lengths = list(batch.x[r]), batch.lengths[r]
        for layer in range(network.shape.layers):
            p = {name.split(".")[1]: value for name, value in leaves.items() if name.startswith(f"layer{layer}.")}
            h = z = torch.zeros(len(lengths), network.shape.hidden, dtype=F64)
            for t, x in enumerate(rows):
                clamp = clamp_of(bound, len(p["b"]), beyond)
                if network.cell.name == "cornn":
                    h, z = cornn_step(x, h, z, p, clamp)
                else:
                    h = STEPS[network.cell.name](x, h, p, clamp)
                rows[t] = h
        top = torch.stack([rows[int(n) - 1][k] for k, n in enumerate(lengths)])
        outputs = top @ leaves["readout.W"] + leaves["readout.b"]
        loss = torch.nn.functional.cross_entropy(outputs, batch.y[r])
        values = torch.autograd.grad(loss, list(leaves.values()))
        for name, value in zip(leaves, values, strict=True):
            gradients[name].append(value)
        entries = int(lengths.sum()) * len(leaves["layer0.b"]) * network.shape.layers
        shares.append(sum(beyond, torch.zeros((), dtype=F64)) / entries)
    return {name: torch.stack(values) for name, values in gradients.items()}, torch.stack(shares)


def clamp_of(bound: float, width: int, beyond: list[Tensor]) -> Clamp:
    """Clamps the gradient of what it is given; the first of a timestep is the input's, whose entries are counted."""
    calls: list[Tensor] = []

    def clamp(a: Tensor) -> Tensor:
        if not calls:
            assert a.shape[-1] == width
            a.register_hook(lambda d: beyond.append((d.abs() > bound).sum()))
        calls.append(a)
        if a.requires_grad:
            a.register_hook(lambda d: d.clamp(-bound, bound))
        return a

    return clamp


@pytest.mark.parametrize("bound", [1e9, 2e-3])
@pytest.mark.parametrize("ragged", [False, True], ids=["even", "ragged"])
@pytest.mark.parametrize("cell", [*OWN, Both()], ids=cell_name)
def test_the_adjoint_clip_acts_on_every_product(cell: Cell, ragged: bool, bound: float) -> None:
    network, batch = make_network(cell, R=2, layers=2), make_batch(LAST, R=2, T=8, ragged=ragged)
    if cell.name == "cornn" and bound < 1:
        bound = 5e-6  # dL/da has two steps in time as factors
    found = general_pass(network, batch, LAST, bound=bound)
    gradients, shares = clamped_loop(network, batch, bound)
    for name, expected in gradients.items():
        torch.testing.assert_close(found.gradients[name].plain(), expected, rtol=1e-10, atol=1e-12)
    assert found.clamped is not None
    torch.testing.assert_close(found.clamped.double(), shares, rtol=0, atol=1e-12)
    assert (found.clamped > 0).all() == (bound < 1)


def log10_by_hand(network: Network, batch: Sequences) -> np.ndarray:
    """log10 of the norm of dL/dh_t by t: Jacobians of single timesteps, and a logarithm that is carried along."""
    p = {name.split(".")[1]: value[0] for name, value in network.parameters.items() if name.startswith("layer0.")}
    states = [(torch.zeros(1, network.shape.hidden, dtype=F64),) * len(network.cell.states)]
    for x in batch.x[0]:
        states.append(step(network.cell, x, states[-1], p))
    h = states[-1][0].clone().requires_grad_()
    outputs = h @ network.parameters["readout.W"][0] + network.parameters["readout.b"][0]
    (d_h,) = torch.autograd.grad(torch.nn.functional.cross_entropy(outputs, batch.y[0]), h)
    size, logs, d = 0.0, [], (d_h, *(torch.zeros_like(d_h) for _ in states[0][1:]))
    for t in reversed(range(len(batch.x[0]))):
        logs.append(size + math.log10(float(d[0].norm())))
        norm = float(torch.cat(d).norm())
        size, d = size + math.log10(norm), tuple(part / norm for part in d)
        before = tuple(part.clone().requires_grad_() for part in states[t])
        d = torch.autograd.grad(step(network.cell, batch.x[0, t], before, p), before, d)
    return np.array(logs[::-1])


def forgetful(cell: Cell) -> Network:
    """What the cell would keep of its old state it forgets, and its recurrent weights are small."""
    network = make_network(cell, hidden=4)
    for name in cell.recurrent:
        network.parameters[f"layer0.{name}"] *= 0.3
    if cell.name != "cornn":
        keeps = cell.name == "gru"
        network.parameters["layer0.b"][:, 4 * keeps :][:, :4] += -4.0 if keeps else 4.0
    return network


@pytest.mark.parametrize("dtype", [F64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("cell", [cell if cell.name != "cornn" else DAMPED for cell in OWN], ids=cell_name)
def test_it_reads_on_beyond_the_format(cell: Cell, dtype: torch.dtype) -> None:
    network, batch = forgetful(cell), make_batch(LAST, T=900, B=1)
    for value in network.parameters.values():
        value.copy_(value.float())
    batch = Sequences(batch.x.float().double(), batch.y, batch.lengths)
    expected = log10_by_hand(network, batch)
    assert expected[0] < -400
    narrow = Network(cell, network.shape, {name: value.to(dtype) for name, value in network.parameters.items()})
    found = general_pass(narrow, Sequences(batch.x.to(dtype), batch.y, batch.lengths), LAST)
    curve = curves(narrow, found, batch.lengths)[0][0]
    assert not np.ma.getmaskarray(curve.columns["log10_norm"]).any()
    np.testing.assert_allclose(curve.columns["log10_norm"], expected, rtol=0, atol=1e-8 if dtype == F64 else 0.02)


@pytest.mark.parametrize("objective", [LAST, ALL], ids=["last", "all"])
def test_two_matrices_and_a_diagonal_have_the_gradients_of_a_plain_loop(objective: Objective) -> None:
    cell, R = Both(), 3
    network, batch = make_network(cell, R=R, layers=1), make_batch(objective, R=R, T=7)
    found = general_pass(network, batch, objective)
    for r in range(R):
        leaves = {name: value[r].clone().requires_grad_() for name, value in network.parameters.items()}
        p = {name.removeprefix("layer0."): value for name, value in leaves.items() if name.startswith("layer0")}
        h, rows = torch.zeros(3, network.shape.hidden, dtype=F64), []
        for x in batch.x[r]:
            h = both_step(x, h, p, lambda a: a)
            rows.append(h)
        read = torch.stack(rows if objective is ALL else rows[-1:])
        outputs = (read @ leaves["readout.W"] + leaves["readout.b"]).flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(outputs, batch.y[r].repeat(len(read)))
        values = torch.autograd.grad(loss, [*leaves.values(), *rows])
        for name, expected in zip(leaves, values, strict=False):
            torch.testing.assert_close(found.gradients[name].plain()[r], expected, rtol=1e-10, atol=1e-12)
        norms = torch.stack([value.norm(dim=-1) for value in values[len(leaves) :]])
        squares, exponents = found.readings[0].squares["h"][r], found.readings[0].exponents[r]
        torch.testing.assert_close(torch.ldexp(squares.sqrt(), exponents), norms, rtol=1e-10, atol=1e-12)


def drawn(init: Any, H: int = 6) -> dict[str, np.ndarray]:
    cell, shape = Both(), Shape(inputs=3, hidden=H, layers=2, outputs=2, recurrent_bias=False)
    parameters = draw(cell, shape, Inits.model_validate({"recurrent": init}), seed=1)
    return {name.removeprefix("layer1."): value for name, value in parameters.items() if name.startswith("layer1.")}


def test_initializers_draw_a_cells_own_matrices() -> None:
    """A diagonal matrix is matrices of one unit: so an orthogonal one has 1 and -1 on its diagonal."""
    weights = drawn("orthogonal")
    for name in ("W_hh", "V"):
        np.testing.assert_allclose(weights[name] @ weights[name].T, np.eye(6), atol=1e-12)
    assert not np.allclose(weights["W_hh"], weights["V"])
    assert weights["w"].shape == (1, 12)
    assert set(np.round(weights["w"].ravel(), 12)) == {-1.0, 1.0}
    assert (drawn("identity")["w"] == 1).all()
    assert (drawn("identity")["V"] == np.eye(6)).all()
    scaled = drawn({"name": "normal", "spectral_radius": 0.5})
    np.testing.assert_allclose(np.abs(scaled["w"]), 0.5)
    assert np.abs(np.linalg.eigvals(scaled["V"])).max() == pytest.approx(0.5)


@own_cells
def test_a_cell_counts_its_weights(cell: Cell) -> None:
    network = make_network(cell, layers=1)
    counted = sum(network.parameters[f"layer0.{name}"].numel() for name in cell.recurrent)
    assert cell.recurrent_count(5) == counted
    assert Both().recurrent_count(5) == 5 * 5 * 2 + 5 * 2


def test_the_cells_of_the_papers_have_no_rule_and_need_no_second_bias() -> None:
    for cell in (Gru(reset="before"), Mgu(), CoRnn()):
        assert cell.rule() is None
        assert not cell.needs_recurrent_bias
    assert Gru().needs_recurrent_bias
