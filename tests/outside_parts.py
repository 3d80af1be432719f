"""A made-up part of each kind, as somebody outside rnnlab would write it: one class each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import Field

from rnnlab.cells import Cell, State
from rnnlab.clips import Clip
from rnnlab.column import Column
from rnnlab.inits import Init
from rnnlab.optimizers import OptimizerPart
from rnnlab.penalties import Penalty, Term
from rnnlab.probes import Figures, Probe, Schedule, View
from rnnlab.sweeps.engines import Engine
from rnnlab.sweeps.engines.run_job import run_job
from rnnlab.sweeps.jobs import Event, EventCallback, JobSource
from rnnlab.tasks import Batch, Chance
from rnnlab.tasks.generated import Generated

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from rnnlab.config import Config
    from rnnlab.gradients.readings import Curve
    from rnnlab.network.flat import Gradient


class Leaky(Cell):
    """Leaky unit, h_t = h_{t-1} / 2 + softsign(x_t W_ih + b + h_{t-1} W_hh) / 2."""

    gates: ClassVar[tuple[str, ...]] = ("h",)

    name: Literal["leaky"] = "leaky"
    nonlinearity: Literal["softsign", "tanh"] = Field("softsign", description="phi, applied elementwise.")

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        a = gx + gh
        gate = a / (1 + a.abs()) if self.nonlinearity == "softsign" else a.tanh()
        return (state[0] / 2 + gate / 2,), (gate,)


class Striped(Init):
    """A constant in every other row, zeros elsewhere."""

    places: ClassVar[tuple[str, ...]] = ("recurrent",)

    name: Literal["striped"] = "striped"
    height: float = Field(default=0.1, description="The constant.")

    def draw(self, fan_in: int, fan_out: int, gates: tuple[str, ...], rng: np.random.Generator) -> NDArray[np.float64]:
        weight = np.zeros((fan_in, fan_out * len(gates)))
        weight[::2] = self.height
        return weight


class Softly(Clip):
    """Squashes every entry g of the gradient to threshold * tanh(g / threshold), to some power."""

    counts = "entries"

    name: Literal["softly"] = "softly"
    threshold: float = Field(default=1.0, gt=0, description="Bound on an entry.")
    power: int = Field(default=1, ge=1, description="How often it is applied.")

    @classmethod
    def act(cls, clips: Sequence[Self], gradient: Gradient) -> tuple[Tensor, NDArray[np.float64]]:
        rows = gradient.plain()
        for row, clip in zip(rows, clips, strict=True):
            for _ in range(clip.power):
                row.copy_(clip.threshold * (row / clip.threshold).tanh())
        return rows, np.ones(len(clips))


class Ridge(Penalty):
    """Half the squared size of the recurrent weights."""

    name: Literal["ridge"] = "ridge"
    strength: float = Field(default=0.1, gt=0, description="Factor beside the loss.")
    every: int = Field(default=1, ge=1, description="Updates from one to the next.")

    def due(self, update: int) -> bool:
        return update % self.every == 0

    def measure(self, view: View) -> Term:
        weights = [layer.W_hh.detach().double() for layer in view.network.layers]
        value = sum(W.square().sum((1, 2)) for W in weights).numpy()  # type: ignore[union-attr]
        return Term(self.strength * value / 2, [{"W_hh": self.strength * W} for W in weights])


class Parity(Generated):
    """Say whether a sequence of bits has an odd number of ones."""

    kind: ClassVar[Literal["class"]] = "class"
    per_timestep: ClassVar[bool] = False
    inputs: ClassVar[int] = 1
    outputs: ClassVar[int] = 2

    name: Literal["parity"] = "parity"
    bits: int = Field(default=8, ge=1, description="Bits in a sequence.")

    @property
    def timesteps(self) -> int:
        return self.bits

    def draw(self, rng: np.random.Generator, batch: int, dtype: DTypeLike) -> Batch:
        bits = rng.integers(0, 2, (self.bits, batch))
        return Batch(bits[..., None].astype(dtype), bits.sum(0) % 2)

    def chance(self) -> Chance:
        return Chance(math.log(2), 0.5)


class Sparsity(Probe):
    """Share of weights that are zero, before the update and after, and one row of gradients.csv a layer."""

    columns: ClassVar[tuple[Column, ...]] = (
        Column("sparsity", "number", "1", "share of W = 0", "weights that are zero before the update"),
    )

    name: Literal["sparsity"] = "sparsity"

    def measure(self, view: View) -> Figures | Callable[[], Figures]:
        weights = [layer.W_hh.detach() == 0 for layer in view.network.layers]
        return {"sparsity": np.mean([weight.double().mean((1, 2)).numpy() for weight in weights], 0)}

    def rows(self, view: View) -> Sequence[Sequence[Curve]]:
        from dataclasses import replace

        return [
            [
                replace(
                    curve,
                    state="last",
                    t=curve.t[-1:],
                    lag=curve.lag[-1:],
                    columns={name: values[-1:] for name, values in curve.columns.items()},
                )
                for curve in curves
                if curve.state == "h"
            ]
            for curves in view.curves()
        ]

    def gradient_rows(self, config: Config) -> int:
        return config.model.layers


class Squares(Schedule):
    """Updates that are a square, from some number on."""

    name: Literal["squares"] = "squares"
    origin: int = Field(default=0, ge=0, description="Where counting begins.")

    def due(self, update: int, updates: int | None = None) -> bool:
        return update >= self.origin and math.isqrt(update - self.origin) ** 2 == update - self.origin

    def first(self) -> int:
        return self.origin


class Rprop(OptimizerPart):
    """Resilient backpropagation: steps that grow while the sign of the gradient stays."""

    name: Literal["rprop"] = "rprop"
    growth: float = Field(default=1.2, gt=1, description="Factor on a step while the sign stays.")

    def build(self, parameters: list[Tensor]) -> Optimizer:
        from torch.optim import Rprop as TorchRprop

        return TorchRprop(parameters, lr=self.lr, etas=(0.5, self.growth))


class Backwards(Engine):
    """Trains in this process, the last fleet first."""

    name: ClassVar[str] = "backwards"

    def train(self, jobs: JobSource, on_event: EventCallback) -> None:
        taken = []
        while (job := jobs.take()) is not None:
            taken.append(job)
        for job in reversed(taken):
            on_event(Event("started", job.number))
            run_job(job, on_event)


OUTSIDE: dict[str, Any] = {
    "cells": Leaky,
    "inits": Striped,
    "clips": Softly,
    "penalties": Ridge,
    "tasks": Parity,
    "probes": Sparsity,
    "schedules": Squares,
    "optimizers": Rprop,
    "engines": Backwards,
}
