"""The range of both scans: every figure right where the number format ended long ago, in every cell.

A network of float32 numbers is read in both formats; the truth, in 30 digits, is one.
"""

from __future__ import annotations

import functools
import math
from decimal import Decimal

import numpy as np
import pytest
import torch
from mp_oracle import Numbers, Truth, log10_norms, no_range, numbers, truth
from oracles import F64, FAST_CELLS, cell_name, make_batch, make_network
from scans import both_scans, run

from rnnlab.cells import Antisymmetric, Cell, Rnn
from rnnlab.clips import ClipNorm
from rnnlab.gradients.passes import Pass, Sequences
from rnnlab.gradients.readings import Curve, curves
from rnnlab.network.flat import Gradient, Layout
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective
from rnnlab.scan.scaled import Scaled

F32 = torch.float32
LAYERS, T, H, B = 2, 340, 4, 3
LAST = Objective("class", "last", per_timestep=False)
ALL = Objective("value", "all", per_timestep=True)
LOSSES = {"last": LAST, "all": ALL}
# What one reading may be off by, in decades, and a gradient over all parameters, relative to its norm.
DECADES = {F64: 1e-9, F32: 0.01}
RELATIVE = {F64: 1e-9, F32: 1e-3}

# Places of the gate of a new value, and of the one that keeps the old.
CANDIDATE = {"lstm": 2, "gru": 2, "rnn": 0}
KEEPS = {"lstm": 1, "gru": 1}
# Recurrent weights that multiply a gradient by about 20 a timestep, past the slopes of the gates.
GAIN = {"tanh": 32.0, "relu": 32.0, "linear": 32.0, "sigmoid": 128.0, "gru-after": 128.0, "lstm": 128.0}
# A step so large that its Jacobian is far from 1; at rest |1 - epsilon gamma| = 0.05 of a gradient is left.
CELLS = [Antisymmetric(epsilon=1.0, gamma=0.95) if cell.name == "antisymmetric" else cell for cell in FAST_CELLS]
# Those whose Jacobian is at most 1 whatever their weights.
BOUNDED = ("mingru", "lru")

every_cell = pytest.mark.parametrize("cell", CELLS, ids=cell_name)
every_cell_that_explodes = pytest.mark.parametrize(
    "cell", [cell for cell in CELLS if cell.name not in BOUNDED], ids=cell_name
)
# The general scan takes about a second each time; in float64 it does what it does in float32, so that is for later.
both_in_both = pytest.mark.parametrize(
    ("scan", "dtype"),
    [("fast", F64), ("fast", F32), ("general", F32), pytest.param("general", F64, marks=pytest.mark.slow)],
    ids=["fast-float64", "fast-float32", "general-float32", "general-float64"],
)


def gate_of(network: Network, layer: int, name: str, gate: int) -> torch.Tensor:
    """A view of one gate's columns."""
    return network.parameters[f"layer{layer}.{name}"][0, ..., gate * H : (gate + 1) * H]


def vanishing(cell: Cell) -> Network:
    """Small recurrent weights; what a gated cell would keep of its old state it forgets."""
    network = make_network(cell, hidden=H, layers=LAYERS)
    for layer in range(LAYERS):
        if cell.name == "lru":
            network.parameters[f"layer{layer}.nu_log"].fill_(1.1).add_(torch.arange(H / 2) / 8)
        elif cell.name == "mingru":
            gate_of(network, layer, "b", 0).add_(4)
        else:
            network.parameters[f"layer{layer}.W_hh"] *= 0.05
        if cell.name == "antisymmetric":  # where tanh is steep
            for name in ("W_ih", "W_hh", "b", "b_hh"):
                network.parameters[f"layer{layer}.{name}"] *= 0.05
        if cell.name in KEEPS:
            gate_of(network, layer, "b", KEEPS[cell.name]).sub_(4)
        elif cell == Rnn(nonlinearity="relu"):
            gate_of(network, layer, "b", 0).add_(3)  # or all units are off at once, and nothing passes
    return network


def exploding(cell: Cell) -> Network:
    """Large recurrent weights around states that rest, to the last bit; in every cell it explodes as far as is wanted.

    States that move as wildly as such a gradient says would be others in every format. Here all units but the first
    rest at one value: their new value reads neither x nor the first unit, and its recurrent weights, numbers of few
    digits, add up to zero over the units that rest. The first unit and all other gates move with x.
    """
    network, draw = make_network(cell, hidden=H, layers=LAYERS), torch.Generator().manual_seed(3)
    if cell.name == "antisymmetric":
        return exploding_antisymmetric(network)
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


def exploding_antisymmetric(network: Network) -> Network:
    """The units but the first rest at zero, where nothing but they themselves reaches them."""
    for layer in range(LAYERS):
        W = network.parameters[f"layer{layer}.W_hh"][0]
        W[0], W[:, 0] = 0.0, 0.0
        W *= 512.0
        for name in ("W_ih", "b", "b_hh"):
            network.parameters[f"layer{layer}.{name}"][0, ..., 1:] = 0.0
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
def made(cell: Cell, kind: str, loss: str, timesteps: int = T) -> tuple[Network, Sequences]:
    """Ragged where the loss is at all timesteps."""
    return rounded(MAKERS[kind](cell), make_batch(LOSSES[loss], T=timesteps, B=B, ragged=loss == "all", seed=1))


@functools.cache
def exact(cell: Cell, kind: str, loss: str, timesteps: int = T, bound: float | None = None) -> Truth:
    return truth(*made(cell, kind, loss, timesteps), LOSSES[loss], bound)


def read(
    scan: str, cell: Cell, kind: str, loss: str, dtype: torch.dtype, timesteps: int = T, bound: float | None = None
) -> tuple[Network, Sequences, Pass]:
    network, batch = in_format(*made(cell, kind, loss, timesteps), dtype)
    return network, batch, run(scan, network, batch, LOSSES[loss], bound)


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


def in_one_row(gradients: list[Scaled]) -> Numbers:
    """mantissa * 2^exponent of all parameters of the one replica."""
    with no_range():
        return np.concatenate([(numbers(m[0]) * Decimal(2) ** int(e[0])).ravel() for m, e in gradients])


def log10_norm(row: Numbers) -> float:
    with no_range():
        return float(log10_norms(row[None])[0])


def apart(ours: Numbers, true: Numbers) -> float:
    """The norm of the difference, relative to that of the truth."""
    with no_range():
        return float(10 ** (log10_norm(ours - true) - log10_norm(true)))


def as_taken(network: Network, found: Pass) -> Gradient:
    """What a clip gets, as in Fleet.compute_gradients."""
    assert network.flat is not None
    return Gradient(list(found.gradients.values()), network.flat.shape[1])


cells_and_kinds = pytest.mark.parametrize(
    ("cell", "kind"),
    [(cell, kind) for cell in CELLS for kind in MAKERS if kind == "vanishing" or cell.name not in BOUNDED],
    ids=lambda value: value if isinstance(value, str) else cell_name(value),
)
every_loss = pytest.mark.parametrize("loss", LOSSES)


@pytest.mark.long
@both_in_both
@every_loss
@cells_and_kinds
def test_every_column_beyond_the_format(scan: str, cell: Cell, kind: str, loss: str, dtype: torch.dtype) -> None:
    """A loss at the last timestep is the one that reaches so far down; one at all of them adds to every timestep."""
    true = exact(cell, kind, loss)
    network, batch, found = read(scan, cell, kind, loss, dtype)
    (rows,) = curves(network, found, batch.lengths)
    check_curves(rows, true, batch.lengths[0].tolist(), cell.states, DECADES[dtype])
    lowest, highest = rows[0].columns["log10_norm"].min(), rows[0].columns["log10_norm"].max()
    assert highest > 400 if kind == "exploding" else loss == "all" or lowest < -400
    assert apart(in_one_row(list(found.gradients.values())), true.gradient()) < RELATIVE[dtype]
    log2_norm = log10_norm(true.gradient()) / math.log10(2)
    assert as_taken(network, found).log2_norm[0] == pytest.approx(log2_norm, rel=0, abs=2 * RELATIVE[dtype])


@pytest.mark.long
@both_in_both
@pytest.mark.parametrize(
    ("kind", "loss", "timesteps", "bound"),
    [
        ("vanishing", "last", 60, 1e3),  # which clamps nothing
        ("vanishing", "last", T, 1e-3),
        ("vanishing", "all", 100, 1e-5),
        ("exploding", "all", 200, 1e9),
        ("exploding", "last", T, 1e200),
    ],
)
@every_cell
def test_every_column_under_the_adjoint_clip(
    scan: str, cell: Cell, kind: str, loss: str, timesteps: int, bound: float, dtype: torch.dtype
) -> None:
    if kind == "exploding" and cell.name in BOUNDED:
        pytest.skip("its Jacobian is at most 1")
    true = exact(cell, kind, loss, timesteps, bound)
    network, batch, found = read(scan, cell, kind, loss, dtype, timesteps, bound)
    (rows,) = curves(network, found, batch.lengths)
    states = (*cell.states, "a", "a_clipped")
    check_curves(rows, true, batch.lengths[0].tolist(), states, DECADES[dtype])
    assert apart(in_one_row(list(found.gradients.values())), true.gradient()) < RELATIVE[dtype]
    assert found.clamped is not None
    assert (true.clamped > 0) == (bound != 1e3)
    assert found.clamped[0].item() == pytest.approx(true.clamped, rel=0, abs=1e-12 if dtype == F64 else 1e-3)


@both_in_both
@pytest.mark.parametrize(("timesteps", "decades"), [(60, 60), (T, 400)])
@every_cell_that_explodes
def test_the_norm_clip_keeps_the_true_direction(
    scan: str, cell: Cell, timesteps: int, decades: int, dtype: torch.dtype
) -> None:
    true = exact(cell, "exploding", "last", timesteps).gradient()
    assert log10_norm(true) > decades
    network, _, found = read(scan, cell, "exploding", "last", dtype, timesteps)
    gradient = as_taken(network, found)
    rows, shares = ClipNorm.act([ClipNorm(threshold=0.25)] * len(gradient.log2_norm), gradient)
    assert shares.tolist() == [1.0]
    with no_range():
        expected = true * (Decimal("0.25") / (true * true).sum().sqrt())
    assert apart(numbers(rows[0, : gradient.count]), expected) < RELATIVE[dtype]
    assert (rows[0, gradient.count :] == 0).all()


@pytest.mark.long
@every_loss
@every_cell_that_explodes
@both_scans
def test_one_that_vanishes_beside_one_that_explodes_is_read_as_alone(scan: str, cell: Cell, loss: str) -> None:
    both = [in_format(*made(cell, kind, loss), F32) for kind in MAKERS]
    replicas = [{name: value[0].numpy() for name, value in network.parameters.items()} for network, _ in both]
    network = Network.stack(cell, both[0][0].shape, replicas, F32)
    batch = Sequences(*(torch.cat([getattr(one, name) for _, one in both]) for name in ("x", "y", "lengths")))
    together = curves(network, run(scan, network, batch, LOSSES[loss]), batch.lengths)
    for rows, kind in zip(together, MAKERS, strict=True):
        network, batch, found = read(scan, cell, kind, loss, F32)
        for curve, alone in zip(rows, curves(network, found, batch.lengths)[0], strict=True):
            for name, values in alone.columns.items():
                np.testing.assert_array_equal(curve.columns[name], values, err_msg=name)


def long_ago(cell: Cell) -> tuple[Network, Sequences]:
    """A relu network whose lower layer is dead from the sixth timestep on: exactly nothing reaches it later."""
    network, batch = vanishing(cell), make_batch(LAST, T=T, B=B)
    network.parameters["layer0.W_ih"][0, 0] = 1.0
    batch.x[0, 5:, :, 0] = -1000.0
    return rounded(network, batch)


# The sums of a layer's parameter gradients go by the size of dL/dh_t, and drop what is 2^70 below it. Where dL/da_t is
# much smaller than dL/dh_t (dead, saturated), that is not the size of what is summed.
@both_in_both
def test_a_gradient_beyond_the_format_gives_rows_of_zero(scan: str, dtype: torch.dtype) -> None:
    """1e-400 for a whole layer: its norm is known, and what the optimizer gets is exactly zero.

    So too where the clip acts, on the gradient of all layers together.
    """
    network, batch = long_ago(Rnn(nonlinearity="relu"))
    true = truth(network, batch, LAST).gradients
    network, batch = in_format(network, batch, dtype)
    found = run(scan, network, batch, LAST)
    names = [name for name in true if name.startswith("layer0")]
    lower, parts = np.concatenate([true[name].ravel() for name in names]), [found.gradients[name] for name in names]
    assert log10_norm(lower) < -400
    assert apart(in_one_row(parts), lower) < RELATIVE[dtype]
    gradient = Gradient(parts, Layout({name: true[name].shape for name in names}).width)
    assert gradient.log2_norm[0] * math.log10(2) == pytest.approx(log10_norm(lower), rel=0, abs=RELATIVE[dtype])
    rows, shares = ClipNorm.act([ClipNorm(threshold=1.0)] * len(gradient.log2_norm), gradient)
    assert shares.tolist() == [0.0]
    assert not rows.any()
    taken = as_taken(network, found)
    rows, shares = ClipNorm.act([ClipNorm(threshold=1e-6)], taken)
    assert shares.tolist() == [1.0]
    assert torch.linalg.vector_norm(rows.double()).item() == pytest.approx(1e-6, rel=RELATIVE[dtype])
    assert not rows[0, : gradient.count].any()


@both_in_both
@pytest.mark.parametrize(
    ("nonlinearity", "late"), [("relu", -1.0), ("tanh", -30.0), ("sigmoid", 80.0), ("sigmoid", -80.0)]
)
def test_what_a_layer_learns_from_long_ago_while_it_is_saturated(
    scan: str, nonlinearity: str, late: float, dtype: torch.dtype
) -> None:
    """One unit a layer: the lower is saturated from the second timestep on, and learns from the first one alone.

    Through the upper one 2^-90 of the gradient comes back, or less.
    """
    cell = Rnn.model_validate({"nonlinearity": nonlinearity})
    network, batch = make_network(cell, inputs=1, hidden=1, layers=2), make_batch(LAST, T=10, B=1, inputs=1)
    network.parameters["layer0.W_ih"][:], network.parameters["layer0.W_hh"][:] = 1.0, 0.0
    network.parameters["layer1.W_ih"][:], network.parameters["layer1.W_hh"][:] = 1.0, 2.0**-10
    for layer in range(LAYERS):
        gate_of(network, layer, "b", 0)[:], gate_of(network, layer, "b_hh", 0)[:] = 0.0 if layer == 0 else 1.0, 0.0
    batch.x[:], batch.x[0, 0] = late, 1.0
    network, batch = rounded(network, batch)
    true = truth(network, batch, LAST).gradients
    network, batch = in_format(network, batch, dtype)
    found = run(scan, network, batch, LAST).gradients
    for name in ("layer0.W_ih", "layer0.b"):
        assert apart(in_one_row([found[name]]), true[name].ravel()) < RELATIVE[dtype]


def linear(gain: float, dtype: torch.dtype, *, nonlinearity: str = "linear", layers: int = 1) -> Network:
    """Two units a layer, each h_t = gain h_{t-1} + the sum of its inputs; the output is their sum."""
    network = make_network(
        Rnn.model_validate({"nonlinearity": nonlinearity}), inputs=1, hidden=2, layers=layers, outputs=1
    )
    for name, value in network.parameters.items():
        value[:] = torch.eye(2, dtype=F64) * gain if name.endswith("W_hh") else float(".W" in name)
    return Network(network.cell, network.shape, {name: w.to(dtype) for name, w in network.parameters.items()})


def pulse(length: int, size: float, dtype: torch.dtype) -> Sequences:
    """One sequence that is `size` at first and zero from then on; its target is 1."""
    x = torch.zeros(1, length, 1, 1, dtype=dtype)
    x[:, 0] = size
    return Sequences(x, torch.ones(1, 1, 1, dtype=dtype), torch.full((1, 1), length))


VALUE = Objective("value", "last", per_timestep=False)


@both_in_both
def test_states_that_grow_as_fast_as_the_gradient_vanishes_count_alike(scan: str, dtype: torch.dtype) -> None:
    """h_t = 2^t and dL/dh_t ~ 2^(T-t): all T - 1 terms of dL/dW_hh are equal, though the rows differ by 2^100 and more.

    dL/dW_hh = d 2^(T-2) (T - 1) and dL/dW_ih = d 2^(T-1), where d is dL/dh at the last timestep.
    """
    length = 110
    found = run(scan, linear(2.0, dtype), pulse(length, 1.0, dtype), VALUE).gradients
    (hh, e_hh), (ih, e_ih) = found["layer0.W_hh"], found["layer0.W_ih"]
    ratio = hh[0, 0, 0].double() / ih[0, 0, 0].double() * 2.0 ** float(e_hh - e_ih)
    assert ratio.item() == pytest.approx((length - 1) / 2, rel=RELATIVE[dtype])


@both_scans
def test_sums_beyond_float32_keep_their_direction(scan: str) -> None:
    """States of 1e37 at every timestep: their sum over time would be infinite without an exponent."""
    network, batch = linear(1.0, F32), pulse(100, 1e37, F32)
    found = run(scan, network, batch, VALUE).gradients
    wide = {name: w.double() for name, w in network.parameters.items()}
    sizes = Sequences(batch.x.double(), batch.y.double(), batch.lengths)
    true = run(scan, Network(network.cell, network.shape, wide), sizes, VALUE).gradients
    names = ["layer0.W_ih", "layer0.W_hh"]
    ours, theirs = (in_one_row([gradients[name] for name in names]) for gradients in (found, true))
    assert apart(ours, theirs) < RELATIVE[F32]


@both_in_both
def test_rows_of_zeros_that_arrive_carry_no_exponent(scan: str, dtype: torch.dtype) -> None:
    """The upper layer is dead before timestep 150: from there on only zeros arrive below, and the lower reads on."""
    length = 300
    network = linear(0.125, dtype, nonlinearity="relu", layers=2)
    network.parameters["layer1.W_hh"][:] = 0.5 * torch.eye(2)
    batch = pulse(length, 1.0, dtype)
    batch.x[:, :150], batch.x[:, 150:] = -1.0, 1.0
    network.parameters["layer0.b"][:], network.parameters["layer1.b"][:] = 3.0, -7.0
    found = run(scan, network, batch, VALUE)
    (rows,) = curves(network, found, batch.lengths)
    lower, upper = (curve.columns["log10_norm"] for curve in rows)
    assert np.isneginf(upper[:149]).all()  # what h_149 gets is its successor's
    np.testing.assert_allclose(np.diff(lower[:140]), -math.log10(0.125), atol=1e-6)
    assert lower[0] < -130


@both_in_both
@pytest.mark.parametrize("gain", [1e-30, 1e30])
def test_one_timestep_may_change_the_size_by_thirty_decades(scan: str, gain: float, dtype: torch.dtype) -> None:
    network, batch = linear(gain, dtype), pulse(9, 0.0, dtype)
    (rows,) = curves(network, run(scan, network, batch, VALUE), batch.lengths)
    np.testing.assert_allclose(np.diff(rows[0].columns["log10_norm"]), -math.log10(gain), atol=1e-4)
