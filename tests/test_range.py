"""The range of the compiled scan: every figure right where the number format ended long ago, in every cell.

A network of float32 numbers is read in both formats; the truth, in 30 digits, is one.
"""

from __future__ import annotations

import functools
import math
from decimal import Decimal

import numpy as np
import pytest
import torch
from mp_oracle import Truth, log10, log10_norms, no_range, numbers, truth
from oracles import F64, make_batch, make_network
from test_passes import FAST_CELLS, cell_name

from rnnlab.cells import Cell, Rnn
from rnnlab.clips import ClipNorm
from rnnlab.flat import Gradient
from rnnlab.logspace import Scaled
from rnnlab.measure import Curve, curves
from rnnlab.network import Network
from rnnlab.objective import Objective
from rnnlab.passes import Pass, Scratch, Sequences, fast_pass

F32 = torch.float32
LAYERS, H, B = 2, 4, 3
LAST = Objective("class", "last", per_timestep=False)
ALL = Objective("value", "all", per_timestep=True)
LOSSES = {"last": LAST, "all": ALL}
# What one reading may be off by, in decades, and a gradient over all parameters, relative to its norm.
DECADES = {F64: 1e-9, F32: 0.01}
RELATIVE = {F64: 1e-9, F32: 1e-3}

CANDIDATE = {"lstm": 2, "gru": 2, "rnn": 0}
LEAK = {"lstm": 1, "gru": 1}
"""The gates of a new value and of the old one, by their places."""
GAIN = {"tanh": 16.0, "relu": 16.0, "linear": 16.0, "sigmoid": 64.0, "gru": 128.0, "lstm": 64.0}

every_cell = pytest.mark.parametrize("cell", FAST_CELLS, ids=cell_name)
both_formats = pytest.mark.parametrize("dtype", [F64, F32], ids=["float64", "float32"])


def gate_of(network: Network, layer: int, name: str, gate: int) -> torch.Tensor:
    """A view of one gate's columns."""
    return network.parameters[f"layer{layer}.{name}"][0, ..., gate * H : (gate + 1) * H]


def vanishing(cell: Cell) -> Network:
    """Small recurrent weights; what a gated cell would keep of its old state it forgets."""
    network = make_network(cell, hidden=H, layers=LAYERS)
    for layer in range(LAYERS):
        network.parameters[f"layer{layer}.W_hh"] *= 0.2
        if cell.name in LEAK:
            gate_of(network, layer, "b", LEAK[cell.name]).sub_(4)
        elif cell == Rnn(nonlinearity="relu"):
            gate_of(network, layer, "b", 0).add_(3)  # or all units are off at once, and nothing passes
    return network


def exploding(cell: Cell) -> Network:
    """Large recurrent weights around a state that rests, to the last bit, where the slope is steepest.

    States that move as wildly as such a gradient says would be others in every format. Here all units but the first
    rest at one value s: their candidate reads neither x nor the first unit, and its recurrent weights, numbers of few
    digits, add up to zero over the units that rest. The first unit and the other gates move with x, and feed no
    candidate but the first unit's.
    """
    network, draw = make_network(cell, hidden=H, layers=LAYERS), torch.Generator().manual_seed(3)
    rest = {"relu": 1.0, "linear": 1.0}.get(getattr(cell, "nonlinearity", ""), 0.0)  # the pre-activation
    gate = CANDIDATE[cell.name]
    for layer in range(LAYERS):
        for name, gain in (("W_ih", 4.0), ("W_hh", GAIN[cell_name(cell).removeprefix("rnn-")])):
            W = gate_of(network, layer, name, gate)
            W[:, 1:] = 0
            if len(W) == H:
                W[1:, 1:] = balanced(H - 1, draw) * gain
        gate_of(network, layer, "b", gate)[1:] = rest
        gate_of(network, layer, "b_hh", gate)[1:] = 0
    return network


def balanced(n: int, draw: torch.Generator) -> torch.Tensor:
    """A matrix of 64ths whose columns add up to zero."""
    some = torch.randint(-64, 65, (n - 1, n), generator=draw).double() / 64
    return torch.cat([some, -some.sum(0, keepdim=True)])


MAKERS = {"vanishing": vanishing, "exploding": exploding}


def rounded(network: Network, batch: Sequences) -> tuple[Network, Sequences]:
    """The same with numbers that float32 holds."""
    for value in network.parameters.values():
        value.copy_(value.float())
    y = batch.y.float().double() if batch.y.is_floating_point() else batch.y
    return network, Sequences(batch.x.float().double(), y, batch.lengths)


def in_format(network: Network, batch: Sequences, dtype: torch.dtype) -> tuple[Network, Sequences]:
    replica = {name: value[0].numpy() for name, value in network.parameters.items()}
    y = batch.y.to(dtype) if batch.y.is_floating_point() else batch.y
    return (
        Network.stack(network.cell, network.shape, [replica], dtype),
        Sequences(batch.x.to(dtype), y, batch.lengths),
    )


@functools.cache
def made(cell: Cell, kind: str, loss: str, T: int) -> tuple[Network, Sequences]:
    """Ragged where the loss is at all timesteps."""
    return rounded(MAKERS[kind](cell), make_batch(LOSSES[loss], T=T, B=B, ragged=loss == "all", seed=1))


@functools.cache
def exact(cell: Cell, kind: str, loss: str, T: int, bound: float | None = None) -> Truth:
    return truth(*made(cell, kind, loss, T), LOSSES[loss], bound)


def read(cell: Cell, kind: str, loss: str, T: int, dtype: torch.dtype, bound: float | None = None) -> tuple[
    Network, Sequences, Pass
]:  # fmt: skip
    network, batch = in_format(*made(cell, kind, loss, T), dtype)
    return network, batch, fast_pass(network, batch, LOSSES[loss], Scratch(LAYERS), bound=bound)


def columns(found: Truth, layer: int, state: str, lengths: list[int]) -> dict[str, np.ndarray]:
    """The columns of gradients.csv, by t, of log10 row norms [T, B]."""
    norms, longest = found.norms[layer, state], max(lengths)
    alive = np.arange(longest)[:, None] < np.array(lengths)
    percentiles = [percents(row[there]) for row, there in zip(norms, alive, strict=False)]
    low, median, high = np.array(percentiles).T + math.log10(len(lengths))
    named = {"log10_norm": over_batch(norms[:longest]), "log10_p05": low, "log10_median": median, "log10_p95": high}
    return {**named, "log10_direct": over_batch(found.direct[layer, state][:longest])}


def over_batch(norms: np.ndarray) -> np.ndarray:
    top = np.maximum(norms.max(1, keepdims=True), -1e9)
    with np.errstate(divide="ignore"):
        return top[:, 0] + np.log10((10 ** (2 * (norms - top))).sum(1)) / 2


def percents(logs: np.ndarray) -> np.ndarray:
    """5, 50 and 95, linear between log10 values; one that lies on or beside a zero is a zero."""
    found = np.percentile(np.maximum(logs, -1e9), (5, 50, 95))
    return np.where(np.isneginf(np.percentile(logs, (5, 50, 95), method="lower")), -np.inf, found)


def check_curves(rows: list[Curve], true: Truth, lengths: list[int], states: tuple[str, ...], decades: float) -> None:
    assert [(curve.layer, curve.state) for curve in rows] == [(layer, s) for layer in range(LAYERS) for s in states]
    for curve in rows:
        expected = columns(true, curve.layer, curve.state, lengths)
        for name, values in expected.items():
            where = f"layer {curve.layer}, {curve.state}, {name}"
            np.testing.assert_allclose(curve.columns[name], values, rtol=0, atol=decades, err_msg=where)
        with np.errstate(over="ignore", under="ignore"):
            plain = 10.0 ** expected["log10_norm"]
        np.testing.assert_allclose(curve.columns["norm"], plain, rtol=3 * decades, atol=1e-300 if decades < 1e-3 else 0)


def apart(found: list[Scaled], true: Truth) -> tuple[float, float]:
    """How far a gradient over all parameters is from the truth, relative to its norm; log2 of that norm."""
    with no_range():
        ours = np.concatenate([(numbers(one.mantissa[0]) * two_to(one.exponent)).ravel() for one in found])
        norm, off = (log10_norms(one[None])[0] for one in (true.gradient(), ours - true.gradient()))
    return 10 ** (off - norm), norm / math.log10(2)


def two_to(exponent: torch.Tensor) -> Decimal:
    return Decimal(2) ** int(exponent[0])


T = {"vanishing": 600, "exploding": 450}
every_kind = pytest.mark.parametrize("kind", MAKERS)
every_loss = pytest.mark.parametrize("loss", LOSSES)


@both_formats
@every_loss
@every_kind
@every_cell
def test_every_column_beyond_the_format(cell: Cell, kind: str, loss: str, dtype: torch.dtype) -> None:
    """A loss at the last timestep is the one that reaches so far down; one at all of them adds to every timestep."""
    true = exact(cell, kind, loss, T[kind])
    network, batch, found = read(cell, kind, loss, T[kind], dtype)
    (rows,) = curves(network, found, batch.lengths)
    check_curves(rows, true, batch.lengths[0].tolist(), cell.states, DECADES[dtype])
    lowest, highest = rows[0].columns["log10_norm"].min(), rows[0].columns["log10_norm"].max()
    assert highest > 400 if kind == "exploding" else loss == "all" or lowest < -400
    off, log2_norm = apart(list(found.gradients.values()), true)
    assert off < RELATIVE[dtype]
    gradient = Gradient(list(found.gradients.values()), network.flat.shape[1])
    assert gradient.log2_norm[0] == pytest.approx(log2_norm, abs=3 * DECADES[dtype])


@both_formats
@pytest.mark.parametrize(
    ("kind", "loss", "bound"),
    [
        ("vanishing", "last", 1e3),
        ("vanishing", "last", 1e-3),
        ("vanishing", "all", 1e-5),
        ("exploding", "all", 1e9),
        ("exploding", "last", 1e200),
    ],
)
@every_cell
def test_every_column_under_the_adjoint_clip(
    cell: Cell, kind: str, loss: str, bound: float, dtype: torch.dtype
) -> None:
    true = exact(cell, kind, loss, T[kind], bound)
    network, batch, found = read(cell, kind, loss, T[kind], dtype, bound)
    (rows,) = curves(network, found, batch.lengths)
    states = (*cell.states, "a", "a_clipped")
    check_curves(rows, true, batch.lengths[0].tolist(), states, DECADES[dtype])
    assert apart(list(found.gradients.values()), true)[0] < RELATIVE[dtype]
    assert found.clamped is not None
    assert (true.clamped > 0) == (bound != 1e3)
    assert found.clamped[0].item() == pytest.approx(true.clamped, abs=1e-12 if dtype == F64 else 1e-3)
