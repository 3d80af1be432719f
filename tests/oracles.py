"""Slow and obvious: what the fast code is held against.

A network in a plain loop over time, one replica after another, with the tensors of every timestep kept, and torch's own
autograd behind it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor, nn

from rnnlab.cells import CELLS, Antisymmetric, Cell, CoRnn, Lru
from rnnlab.config.cell_options import cell_options
from rnnlab.gradients.passes import Sequences
from rnnlab.inits import Inits
from rnnlab.network.network import Network, Shape, draw
from rnnlab.network.objective import Objective

F64 = torch.float64
ALL_CELLS = [
    part.model_validate(dict(zip(options, values, strict=True)))
    for part in CELLS.values()
    for options in [[o for o in cell_options() if o in part.model_fields and get_args(part.model_fields[o].annotation)]]
    for values in itertools.product(*(get_args(part.model_fields[option].annotation) for option in options))
]
FAST_CELLS = [cell for cell in ALL_CELLS if cell.rule() is not None]
WITH_RULE = [name for name, part in CELLS.items() if part().rule() is not None]


def cell_name(cell: Cell) -> str:
    return "-".join(value for value in cell.model_dump().values() if isinstance(value, str))


@dataclass
class Answer:
    """One replica's figures: loss, outputs by (t, b), parameter gradients, adjoints by (layer, state) [T, B, H]."""

    loss: Tensor
    gradients: dict[str, Tensor]
    adjoints: dict[tuple[int, str], Tensor]


def step(cell: Cell, x: Tensor, state: tuple[Tensor, ...], p: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """One timestep of one layer, as in the papers, written apart from the package."""
    h, H = state[0], state[0].shape[-1]
    if isinstance(cell, Lru):
        return (_lru_step(x, h, p),)
    if isinstance(cell, CoRnn):
        return _cornn_step(cell, x, *state, p)
    if cell.owns_step:
        return _own_step(cell, x, h, p)
    if isinstance(cell, Antisymmetric):
        # The paper's W acts on columns: it is our W_hh^T, and so is its h W^T = W h.
        W = p["W_hh"].T
        slope = (W - W.T - cell.gamma * torch.eye(H, dtype=x.dtype)) @ h.T
        return (h + cell.epsilon * torch.tanh(slope.T + x @ p["W_ih"] + p["b"] + p.get("b_hh", 0)),)
    gx, gh = x @ p["W_ih"] + p["b"], h @ p["W_hh"] + p.get("b_hh", 0)
    if cell.name == "lstm":
        a = gx + gh
        i, f, o = (torch.sigmoid(a[:, k * H : (k + 1) * H]) for k in (0, 1, 3))
        c = f * state[1] + i * torch.tanh(a[:, 2 * H : 3 * H])
        return o * torch.tanh(c), c
    if cell.name == "gru":
        r, z = (torch.sigmoid((gx + gh)[:, k * H : (k + 1) * H]) for k in (0, 1))
        n = torch.tanh(gx[:, 2 * H :] + r * gh[:, 2 * H :])
        return ((1 - z) * n + z * h,)
    if cell.name != "rnn":
        # A cell that is not written here a second time: its own definition, in this loop and under plain autograd.
        return cell.definition(gx, gh, state)[0]
    phi = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "linear": lambda a: a}
    return (phi[cell.nonlinearity](gx + gh),)  # type: ignore[attr-defined, no-untyped-call]


def _own_step(cell: Cell, x: Tensor, h: Tensor, p: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """Of the cells that are no elementwise function of h W_hh: Cho et al. 2014, Zhou et al. 2016, Feng et al. 2024."""
    H, gx = h.shape[-1], x @ p["W_ih"] + p["b"] + p.get("b_hh", 0)
    if cell.name == "mingru":
        z, candidate = torch.sigmoid(gx[:, :H]), gx[:, H:]
        return ((1 - z) * h + z * candidate,)
    if cell.name == "gru":
        U_r, U_z = p["W_hh"][:, :H], p["W_hh"][:, H:]
        r, z = torch.sigmoid(gx[:, :H] + h @ U_r), torch.sigmoid(gx[:, H : 2 * H] + h @ U_z)
        return (z * h + (1 - z) * torch.tanh(gx[:, 2 * H :] + (r * h) @ p["W_hn"]),)
    f = torch.sigmoid(gx[:, :H] + h @ p["W_hh"])
    return ((1 - f) * h + f * torch.tanh(gx[:, H:] + (f * h) @ p["W_hn"]),)


def _lru_step(x: Tensor, h: Tensor, p: dict[str, Tensor]) -> Tensor:
    """Orvieto et al. 2023, in complex numbers; of an odd number of units the last of the first half is real."""
    H, pairs = h.shape[-1], h.shape[-1] // 2
    first = H - pairs
    angle = torch.exp(p["theta_log"][0]) * (torch.arange(first) < pairs)
    lam = torch.exp(torch.complex(-torch.exp(p["nu_log"][0]), angle))
    z = torch.complex(h[:, :first], nn.functional.pad(h[:, first:], (0, first - pairs)))
    a = x @ p["W_ih"] + p["b"]
    a = torch.complex(a[:, :first], nn.functional.pad(a[:, first:], (0, first - pairs)))
    z = lam * z + torch.exp(p["gamma_log"][0]) * a
    return torch.cat([z.real, z.imag[:, :pairs]], -1) + p.get("b_hh", 0)


def _cornn_step(cell: CoRnn, x: Tensor, y: Tensor, z: Tensor, p: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """Rusch and Mishra 2021, equation 3, with the damping of the timestep before."""
    force = torch.tanh(y @ p["W_hh"] + z @ p["W_zh"] + x @ p["W_ih"] + p["b"] + p.get("b_hh", 0))
    z = z + cell.dt * force - cell.dt * cell.gamma * y - cell.dt * cell.epsilon * z
    return y + cell.dt * z, z


def loop(network: Network, batch: Sequences, objective: Objective, replica: int) -> Answer:
    """Forward over time and back by autograd, every state kept, for one replica."""
    leaves = {name: w[replica].detach().clone().requires_grad_() for name, w in network.parameters.items()}
    x, lengths = batch.x[replica], batch.lengths[replica]
    T, B, _ = x.shape
    kept: dict[tuple[int, str], list[Tensor]] = {}
    rows = list(x)
    for layer in range(network.shape.layers):
        prefix = f"layer{layer}."
        p = {name.removeprefix(prefix): w for name, w in leaves.items() if name.startswith(prefix)}
        zero = torch.zeros(B, network.shape.hidden, dtype=x.dtype)
        state: tuple[Tensor, ...] = (zero,) * len(network.cell.states)
        for t in range(T):
            state = step(network.cell, rows[t], state, p)
            for name, part in zip(network.cell.states, state, strict=True):
                kept.setdefault((layer, name), []).append(part)
        rows = kept[layer, "h"]
    losses = []
    for b in range(B):
        for t in _places(objective, int(lengths[b])):
            output = rows[t][b] @ leaves["readout.W"] + leaves["readout.b"]
            y = batch.y[replica][t, b] if objective.per_timestep else batch.y[replica][b]
            one = nn.functional.cross_entropy(output, y) if objective.kind == "class" else ((output - y) ** 2).mean()
            losses.append(one)
    loss = torch.stack(losses).mean()
    wanted = [*leaves.values(), *(part for parts in kept.values() for part in parts)]
    values = iter(torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True))
    gradients = {name: next(values) for name in leaves}
    return Answer(
        loss.detach(), gradients, {key: torch.stack([next(values) for _ in parts]) for key, parts in kept.items()}
    )


def _places(objective: Objective, length: int) -> list[int]:
    if objective.placement == "all":
        return list(range(length))
    return [length - 1] if objective.placement == "last" else [objective.placement % length]


def make_network(cell: Cell, *, R: int = 1, inputs: int = 3, hidden: int = 5, layers: int = 1, outputs: int = 2,
                 recurrent_bias: bool = True, dtype: torch.dtype = F64,
                 init: str | None = None) -> Network:  # fmt: skip
    """A small network with weights that differ from replica to replica; biases are not zero."""
    shape = Shape(inputs, hidden, layers, outputs, recurrent_bias and bool(cell.recurrent))
    inits = inits_of(cell, init or {"bias": {"name": "normal", "std": 0.3}, "recurrent_bias": {"name": "normal"}})
    return Network.stack(cell, shape, [draw(cell, shape, inits, seed) for seed in range(R)], dtype)


def inits_of(cell: Cell, init: str | dict[str, Any] = "torch") -> Inits:
    """These initializers, with the cell's own for its recurrent parameters where it has one."""
    given = {"preset": init} if isinstance(init, str) else init
    return Inits.model_validate(given if cell.recurrent_init is None else {**given, "recurrent": cell.recurrent_init})


def make_batch(objective: Objective, *, R: int = 1, T: int = 6, B: int = 3, inputs: int = 3, outputs: int = 2,
               ragged: bool = False, seed: int = 0, dtype: torch.dtype = F64) -> Sequences:  # fmt: skip
    """Random sequences and targets; when ragged, some are shorter and padded with zeros."""
    g = torch.Generator().manual_seed(seed)
    lengths = torch.randint(max(1, T // 2), T + 1, (R, B), generator=g) if ragged else torch.full((R, B), T)
    x = torch.randn(R, T, B, inputs, generator=g, dtype=dtype)
    x = x.masked_fill((torch.arange(T)[None, :, None] >= lengths[:, None])[..., None], 0)
    shape = (R, T, B) if objective.per_timestep else (R, B)
    if objective.kind == "class":
        return Sequences(x, torch.randint(0, outputs, shape, generator=g), lengths)
    return Sequences(x, torch.randn(*shape, outputs, generator=g, dtype=dtype), lengths)


def torch_layer(network: Network, replica: int = 0) -> nn.RNNBase:
    """torch's own layer with the same weights, its two biases summing to ours."""
    cell, shape = network.cell, network.shape
    kind = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell.name]
    options = {"nonlinearity": cell.nonlinearity} if cell.name == "rnn" else {}  # type: ignore[attr-defined]
    dtype = network.parameters["readout.b"].dtype
    layer = kind(shape.inputs, shape.hidden, shape.layers, dtype=dtype, **options)
    with torch.no_grad():
        for index in range(shape.layers):
            ours = network.layer(index)
            getattr(layer, f"weight_ih_l{index}").copy_(ours.W_ih[replica].T)
            getattr(layer, f"weight_hh_l{index}").copy_(ours.W_hh[replica].T)
            getattr(layer, f"bias_ih_l{index}").copy_(ours.b[replica])
            getattr(layer, f"bias_hh_l{index}").copy_(0 if ours.b_hh is None else ours.b_hh[replica])
    return layer
