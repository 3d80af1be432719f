"""The compiled scan: its pointwise functions, its rules, its range, and closed forms."""

from __future__ import annotations

import ast
import importlib
import inspect
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mpmath import mp
from numba import njit
from oracles import F64, WITH_RULE, make_batch, make_network, torch_layer

from rnnlab.cells import CELLS, Cell, Gru, Lstm, Rnn
from rnnlab.gradients.passes import Pass, Scratch, Sequences, fast_pass, general_pass
from rnnlab.gradients.readings import curves
from rnnlab.inits import Inits
from rnnlab.logspace import log10_of_squares, log10_total
from rnnlab.network.network import Network, Shape, draw
from rnnlab.network.objective import Objective
from rnnlab.scan import pointwise
from rnnlab.scan.fast import direct, nonlinearities
from rnnlab.scan.fast.kernels import compiled_sources, kernels

CELLS_BY_RULE = [Rnn(nonlinearity=n) for n in ("tanh", "relu", "sigmoid", "linear")] + [Lstm(), Gru()]
LAST = Objective("class", "last", per_timestep=False)


@njit(**nonlinearities.OPTIONS)
def compiled_sigmoid(row):  # type: ignore[no-untyped-def]
    pointwise.sigmoid(row)


@njit(**nonlinearities.OPTIONS)
def compiled_tanh(row):  # type: ignore[no-untyped-def]
    pointwise.tanh(row)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_polynomials_are_within_three_ulp(name: str, dtype: type) -> None:
    """Against mpmath, relative to the size of the result, so that tanh near 0 counts as strictly as anywhere."""
    points = np.concatenate([np.linspace(-20, 20, 1201), np.linspace(-0.7, 0.7, 801), 10.0 ** np.arange(-30, 1), [0.0]])
    row = points.astype(dtype)
    exact = [mp.tanh(mp.mpf(float(x))) if name == "tanh" else 1 / (1 + mp.exp(-mp.mpf(float(x)))) for x in row]
    found = row.copy()
    {"sigmoid": compiled_sigmoid, "tanh": compiled_tanh}[name](found)
    ulp = [abs(mp.mpf(float(f)) - e) / float(np.spacing(dtype(abs(e)))) for f, e in zip(found, exact, strict=True)]
    assert max(ulp) <= 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_polynomials_at_the_ends(dtype: type) -> None:
    row = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30], dtype)
    tanh, sigmoid = row.copy(), row.copy()
    compiled_tanh(tanh)
    compiled_sigmoid(sigmoid)
    assert np.isnan(tanh[0])
    assert np.isnan(sigmoid[0])
    np.testing.assert_array_equal(tanh[1:], np.array([1, -1, 1, -1], dtype))
    np.testing.assert_allclose(sigmoid[1:], [1, 0, 1, 0], atol=2 * np.finfo(dtype).tiny)


@pytest.mark.parametrize("cell", CELLS_BY_RULE, ids=lambda cell: "-".join(map(str, cell.model_dump().values())))
def test_a_rule_is_its_definition_and_its_derivative(cell: Cell) -> None:
    """As plain Python, on one row: forward equals the definition, backward equals autograd through it."""
    rule, H, rng = cell.rule(), 4, np.random.default_rng(0)
    assert rule is not None
    gx, gh = rng.normal(size=(2, rule.gates * H))
    h_prev, dh = rng.normal(size=(2, H))
    second = len(cell.states) > 1
    c_prev, dc = rng.normal(size=(2, H)) if second else np.zeros((2, 0))
    h, c, saved, unit = np.zeros(H), np.zeros_like(c_prev), np.zeros(rule.width * H), np.float64(1)
    rule.forward(gx, gh, h_prev, c_prev, h, c, saved, unit)
    leaves = [torch.tensor(value, requires_grad=True) for value in (gx, gh, h_prev, c_prev)]
    state, gates = cell.definition(leaves[0], leaves[1], tuple(leaves[2 : 3 + second]))
    np.testing.assert_allclose(h, state[0].detach(), atol=1e-14)
    np.testing.assert_allclose(saved[: rule.gates * H], torch.cat(gates).detach(), atol=1e-14)
    arriving = [torch.tensor(dh), torch.tensor(dc)][: 1 + second]
    expected = torch.autograd.grad(state, leaves, arriving, allow_unused=True, materialize_grads=True)
    dgx, dgh = np.zeros((2, rule.gates * H))
    dgh = dgh if rule.own_dgh else dgx
    dh_prev, dc_prev, dc_total = np.zeros(H), np.zeros_like(dc), dc.copy()
    rule.backward(dh, dc_total, saved, h_prev, c_prev, unit, dgx, dgh, dh_prev, dc_prev)
    for ours, theirs in zip((dgx, dgh, dh_prev, dc_prev), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-14)


def linear_curve(rho: float, T: int, dtype: torch.dtype, H: int = 6, B: int = 3) -> np.ndarray:
    """log10 of the total gradient at each lag, relative to lag 0, of rho * orthogonal linear recurrence."""
    shape = Shape(2, H, 1, 2, False)
    inits = Inits.model_validate({"recurrent": {"name": "orthogonal", "gain": rho}})
    network = Network.stack(Rnn(nonlinearity="linear"), shape, [draw(Rnn(), shape, inits, 0)], torch.float64)
    batch = Sequences(torch.zeros(1, T, B, 2, dtype=F64), torch.zeros(1, B, dtype=torch.long), torch.full((1, B), T))
    if dtype == torch.float32:
        network = Network(network.cell, shape, {name: w.float() for name, w in network.parameters.items()})
        batch = Sequences(batch.x.float(), batch.y, batch.lengths)
    return curve(fast_pass(network, batch, LAST, Scratch(1)))


def absolute(found: Pass, layer: int = -1, state: str = "h") -> np.ndarray:
    """log10 of the total gradient by lag."""
    readings = found.readings[layer]
    samples = log10_of_squares(readings.squares[state].numpy(), readings.exponents.numpy())
    return np.asarray(log10_total(samples)[0][::-1])


def curve(found: Pass, layer: int = -1, state: str = "h") -> np.ndarray:
    """The same relative to lag 0."""
    total = absolute(found, layer, state)
    return np.asarray(total - total[0])


def test_orthogonal_linear_recurrence_keeps_the_norm() -> None:
    assert np.abs(10 ** linear_curve(1.0, 1000, F64) - 1).max() < 1e-12


def test_scaled_by_rho_it_is_rho_to_the_lag() -> None:
    expected = np.arange(1000) * math.log10(0.9)
    assert np.abs(linear_curve(0.9, 1000, F64) - expected).max() < 1e-12 * 1000


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("rho", [0.5, 2.0])
def test_ten_thousand_timesteps_leave_no_range(rho: float, dtype: torch.dtype) -> None:
    """0.5^10000 is 1e-3010 and 2^10000 is 1e+3010; the reading is right in float32 too."""
    expected = np.arange(10_000) * math.log10(rho)
    assert np.abs(linear_curve(rho, 10_000, dtype) - expected).max() < 0.01


@pytest.mark.parametrize("init", ["torch", "keras"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_default_network_in_float32_follows_float64(cell: str, init: str) -> None:
    """T = 400 at torch's and Keras's defaults: no cliff, 0.01 decades, whatever the true norm."""
    network = make_network(CELLS[cell](), hidden=32, layers=2, init=init)
    batch = make_batch(LAST, T=400, B=8)
    wide = fast_pass(network, batch, LAST, Scratch(2))
    narrow = fast_pass(
        Network(network.cell, network.shape, {name: w.float() for name, w in network.parameters.items()}),
        Sequences(batch.x.float(), batch.y, batch.lengths),
        LAST,
        Scratch(2),
    )
    for layer in (0, 1):
        for state in network.cell.states:
            assert np.abs(absolute(wide, layer, state) - absolute(narrow, layer, state)).max() < 0.01


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_general_scan_reads_on_where_float32_ends(cell: str) -> None:
    """torch's default at T = 400: within 0.01 decades of float64 everywhere, and nothing is marked."""
    network = make_network(CELLS[cell](), hidden=32, init="torch")
    batch = make_batch(LAST, T=400, B=8)
    exact = absolute(fast_pass(network, batch, LAST, Scratch(1)))[::-1]
    narrow = Network(network.cell, network.shape, {name: w.float() for name, w in network.parameters.items()})
    short = Sequences(batch.x.float(), batch.y, batch.lengths)
    read = curves(narrow, general_pass(narrow, short, LAST), batch.lengths)[0][0].columns["log10_norm"]
    assert exact.min() < -45
    assert not np.ma.getmaskarray(read).any()
    assert np.abs(read.data - exact).max() < 0.01


def test_beyond_float64_it_agrees_with_mpmath() -> None:
    """A tanh network whose gradient falls below 1e-308: the same products in 50 digits."""
    T, H, B = 900, 3, 1
    network = make_network(Rnn(), hidden=H)
    network.parameters["layer0.W_hh"] *= 0.4
    batch = make_batch(LAST, T=T, B=B)
    readings = fast_pass(network, batch, LAST, Scratch(1)).readings[0]
    found = log10_of_squares(readings.squares["h"].numpy(), readings.exponents.numpy())[0, :, 0]
    layer = torch_layer(network)
    hs = layer(batch.x[0])[0][:, 0].detach()
    softmax = (hs[-1] @ network.parameters["readout.W"][0] + network.parameters["readout.b"][0]).softmax(0)
    softmax[batch.y[0, 0]] -= 1
    with mp.workdps(50):
        W = [[mp.mpf(w) for w in row] for row in network.parameters["layer0.W_hh"][0].tolist()]
        d = [mp.mpf(v) for v in (network.parameters["readout.W"][0] @ softmax).tolist()]
        for t in range(T - 1, -1, -1):
            exact = float(mp.log10(mp.sqrt(sum(v * v for v in d))))
            assert abs(found[t] - exact) < 1e-9
            da = [v * (1 - mp.mpf(h) ** 2) for v, h in zip(d, hs[t].tolist(), strict=True)]
            d = [sum(W[i][j] * da[j] for j in range(H)) for i in range(H)]
    assert found[0] < -320


def test_an_explosion_beyond_the_format_keeps_its_reading_and_its_direction() -> None:
    """float32, true norm far above 1e38: mantissa and exponent equal those of float64 with the same weights."""
    network = make_network(Rnn(nonlinearity="linear"), hidden=4, outputs=2)
    network.parameters["layer0.W_hh"] *= 3 / torch.linalg.eigvals(network.parameters["layer0.W_hh"]).abs().max()
    batch = make_batch(LAST, T=150)
    batch = Sequences(batch.x * 1e-70, batch.y, batch.lengths)
    wide = fast_pass(network, batch, LAST, Scratch(1))
    tame = Network(network.cell, network.shape, {name: w.float() for name, w in network.parameters.items()})
    tame.parameters["layer0.b"] *= 0
    network.parameters["layer0.b"] *= 0
    tame.parameters["layer0.b_hh"] *= 0
    network.parameters["layer0.b_hh"] *= 0
    wide = fast_pass(network, batch, LAST, Scratch(1))
    narrow = fast_pass(tame, Sequences(batch.x.float() * 0, batch.y, batch.lengths), LAST, Scratch(1))
    assert curve(narrow)[-1] > 60
    assert np.abs(curve(narrow) - curve(wide)).max() < 0.01
    ours, theirs = narrow.gradients["layer0.b"], wide.gradients["layer0.b"]
    a, b = ours.mantissa[0].double(), theirs.mantissa[0]
    assert ours.plain().isinf().any()
    assert torch.dot(a, b) / a.norm() / b.norm() == pytest.approx(1, abs=1e-5)


def test_no_subnormal_number_in_a_vanishing_scan() -> None:
    """Neither in the rows that travel to the layer below, nor in the sums, nor in the gradients."""
    network = make_network(Rnn(), hidden=8, layers=2, dtype=torch.float32)
    for layer in range(2):
        network.parameters[f"layer{layer}.W_hh"] *= 0.2
    scratch = Scratch(2)
    found = fast_pass(network, make_batch(LAST, T=500, dtype=torch.float32), LAST, scratch)
    tiny = torch.finfo(torch.float32).tiny
    kept = [torch.from_numpy(work.buffers[name]) for work in scratch.layers for name in ("dx", "dW_ih", "dW_hh")]
    for tensor in [*kept, *(one.plain() for one in found.gradients.values())]:
        size = tensor.abs()
        assert not ((size > 0) & (size < tiny)).any()


def test_the_second_process_compiles_nothing() -> None:
    """The kernel comes from the disk cache, so the wait is paid once."""
    code = (
        "import torch; from rnnlab.cells import Lstm; from rnnlab.scan.fast import scan as fast;"
        "print(fast.prepare(Lstm().rule(), torch.float32))"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("cell", WITH_RULE)
def test_a_compiled_loop_is_read_on_one_screen_and_takes_its_arrays_in_groups(cell: str) -> None:
    rule = CELLS[cell]().rule()
    assert rule is not None
    for loop in (*kernels(rule), direct.direct(rule)):
        function = loop.py_func  # type: ignore[attr-defined]
        assert len(inspect.signature(function).parameters) <= 12
        assert len(inspect.getsource(function).splitlines()) <= 60


@pytest.mark.parametrize("cell", WITH_RULE)
def test_whatever_is_compiled_in_is_part_of_the_key_of_the_disk_cache(cell: str) -> None:
    """Numba watches one file; a change in another that it imports must compile the loops anew."""
    rule = CELLS[cell]().rule()
    assert rule is not None
    sources = compiled_sources(rule)
    # Types, and a decorator that renames: no code.
    without_code = {"rnnlab.scan.rule", "rnnlab.cells.base", "rnnlab.scan.fast.unique_names"}
    for file in sources:
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rnnlab"):
                names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
                for name in names:
                    if is_module(name) and name not in without_code:
                        assert Path(importlib.import_module(name).__file__ or "") in sources, f"{file.name}: {name}"


def is_module(name: str) -> bool:
    """Whether this is a file, and not a package or a name inside of a module."""
    root = Path(inspect.getfile(pointwise)).parents[2]
    return root.joinpath(*name.split(".")).with_suffix(".py").exists()
