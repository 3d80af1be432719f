"""What takes turns: one full training update in this lab, and in what people use instead of it.

A full update is forward, backward, norms of dL/dh_t (and dL/dc_t) at every timestep, clip by norm, Adam, on the
addition task. The data, drawn once, stay outside the clock.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from rnnlab.config import Config
from rnnlab.gradients.readings import curves
from rnnlab.training.fleet import Fleet

Update = Callable[[], object]

GATES = {"rnn": 1, "gru": 3, "lstm": 4}
SMALL = (8, 25, 16)
"""B, T, H of the runs that sweeps are full of."""
SHAPES = [(20, 100, 50), (32, 200, 128), (64, 400, 100), (64, 200, 256)]
"""B, T, H."""
TINY = (4, 40, 8)
"""B, T, H of --quick."""

HAS_JAX = importlib.util.find_spec("jax") is not None


def fleet_of(cell: str, B: int, T: int, H: int, runs: int = 1, init: Any = "torch", lr: float = 1e-3) -> Fleet:
    """A fleet of this lab, each of its runs on one batch of its own for ever."""
    config = Config.model_validate(
        {
            "task": {"name": "addition", "length": T},
            "model": {"cell": cell, "hidden": H, "init": init, "recurrent_bias": True},
            "clip": {"name": "norm", "threshold": 1.0},
            "optimizer": {"name": "adam", "lr": lr},
            "train": {"batch": B, "updates": 1},
            "device": "cpu",
        }
    )
    fleet = Fleet(config.seeded(*range(runs)))
    batches = [next(stream) for stream in fleet.streams]
    fleet.streams = [itertools.repeat(batch) for batch in batches]
    return fleet


def updating(fleet: Fleet) -> Update:
    """One update of a fleet, with the adjoint probe; returns the curves of every run."""

    def update() -> object:
        with fleet.threads():
            update = fleet.update()
            return curves(fleet.network, update.result, update.sequences.lengths)

    return update


def lab(cell: str, B: int, T: int, H: int, runs: int = 1) -> Update:
    """This lab, recording on: one run, or a fleet."""
    return updating(fleet_of(cell, B, T, H, runs))


class Hand:
    """What the alternatives in torch share: data, read-out, clip and optimizer."""

    def __init__(self, layer: nn.Module, B: int, T: int, H: int) -> None:
        self.layer, self.readout = layer, nn.Linear(H, 1)
        self.x, self.y = torch.rand(T, B, 2), torch.rand(B, 1)
        self.parameters = [*layer.parameters(), *self.readout.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, 1e-3)

    def finish(self, last: Tensor) -> None:
        nn.functional.mse_loss(self.readout(last), self.y).backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


def loop(cell: str, B: int, T: int, H: int, like: Fleet | None = None) -> Update:
    """A loop of cells with retain_grad on every state, norms afterwards; `like` lends it weights and learning rate."""
    layer = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}[cell](2, H)
    hand = Hand(layer, B, T, H)
    if like is not None:
        copy_weights(like, layer)
        hand.optimizer = torch.optim.Adam(hand.parameters, like.configs[0].optimizer.lr)

    def update() -> object:
        h, c, kept = torch.zeros(B, H), torch.zeros(B, H), []
        for x in hand.x:
            if cell == "lstm":
                h, c = hand.layer(x, (h, c))
                c.retain_grad()
                kept.append(c)
            else:
                h = hand.layer(x, h)
            h.retain_grad()
            kept.append(h)
        hand.finish(h)
        return [state.grad.norm().item() for state in kept]

    return update


@torch.no_grad()
def copy_weights(fleet: Fleet, layer: nn.Module) -> None:
    """Give a torch cell the weights of a fleet's first run (the gates have torch's order)."""
    names = {"weight_ih": "W_ih", "weight_hh": "W_hh", "bias_ih": "b", "bias_hh": "b_hh"}
    for name, parameter in layer.named_parameters():
        value = fleet.network.parameters[f"layer0.{names[name]}"][0]
        parameter.copy_(value.mT if value.dim() == 2 else value)


def plain(cell: str, B: int, T: int, H: int) -> Update:
    """torch's fused layer, trained and not measured."""
    hand = Hand({"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell](2, H), B, T, H)
    return lambda: hand.finish(hand.layer(hand.x)[0][-1])


def jax_scan(cell: str, B: int, T: int, H: int, runs: int = 0) -> Update:
    """A jitted lax.scan in JAX; with `runs` that many together by jax.vmap."""
    from with_jax import make_update

    return make_update(cell, B, T, H, runs)
