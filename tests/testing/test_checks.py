"""The checks for authors of parts: rnnlab's own parts pass them, and a fault of each kind is told by its law."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from oracles import ALL_CELLS, cell_name
from outside_parts import OUTSIDE, Leaky, Parity, Rprop, Softly, Sparsity, Squares, Striped
from pydantic import Field
from samples import write_files
from torch import Tensor
from torch.optim import SGD, Optimizer

from rnnlab.cells import Cell, Rnn, State
from rnnlab.clips import CLIPS
from rnnlab.inits import INITS
from rnnlab.network.flat import Gradient
from rnnlab.optimizers import OPTIMIZERS
from rnnlab.parts import Part
from rnnlab.probes import PROBES, SCHEDULES, Figures, View
from rnnlab.scan.recurrent import Recurrent
from rnnlab.scan.rule import Rule
from rnnlab.tasks import TASKS, Batch, Chance
from rnnlab.testing import (
    check_cell,
    check_clip,
    check_initializer,
    check_optimizer,
    check_part,
    check_penalty,
    check_probe,
    check_schedule,
    check_task,
)

CHECKS: dict[str, Any] = {
    "cells": check_cell,
    "inits": check_initializer,
    "clips": check_clip,
    "penalties": check_penalty,
    "tasks": check_task,
    "probes": check_probe,
    "schedules": check_schedule,
    "optimizers": check_optimizer,
}


@pytest.mark.parametrize("cell", ALL_CELLS, ids=cell_name)
def test_every_cell_passes(cell: Cell) -> None:
    check_cell(cell)


@pytest.mark.parametrize("init", INITS.values(), ids=INITS)
def test_every_initializer_passes(init: Any) -> None:
    check_initializer(init)


@pytest.mark.parametrize("clip", CLIPS.values(), ids=CLIPS)
def test_every_clip_passes(clip: Any) -> None:
    check_clip(clip)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_every_optimizer_passes(optimizer: Any) -> None:
    check_optimizer(optimizer)


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_every_probe_passes(probe: Any) -> None:
    check_probe(probe)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_every_schedule_passes(schedule: Any) -> None:
    check_schedule(schedule)


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return write_files(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("name", TASKS)
def test_every_task_passes(name: str, options: dict[str, dict[str, Any]]) -> None:
    check_task(TASKS[name](**options[name]))


@pytest.mark.parametrize("kind", CHECKS)
def test_a_part_from_outside_passes_without_a_table(kind: str) -> None:
    CHECKS[kind](OUTSIDE[kind])


class Gated(Cell):
    """A gated cell with a definition alone, two states, and a nonlinearity that no rule has."""

    gates: ClassVar[tuple[str, ...]] = ("u", "n")
    states: ClassVar[tuple[str, ...]] = ("h", "m")

    name: Literal["gated"] = "gated"

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        a_u, a_n = (gx + gh).chunk(2, -1)
        u, n = a_u.sigmoid(), torch.nn.functional.softplus(a_n)
        m = u * state[1] + (1 - u) * n
        return (m.tanh(), m), (u, n)


def test_a_gated_cell_without_a_rule_passes() -> None:
    check_cell(Gated)


# A fault of each kind. Each class is a sound part but for one line.


class Undescribed(Striped):
    __doc__ = "A constant."

    height: float = 0.1


class InPlace(Gated):
    """Changes the state that it is given."""

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        with torch.no_grad():
            state[1].mul_(2)
        return super().definition(gx, gh, state)


class Detached(Gated):
    """Cuts the gradient of its memory."""

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        return super().definition(gx, gh, (state[0], state[1].detach()))


class Mixed(Gated):
    """Normalizes over the batch."""

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        return super().definition(gx - gx.mean(-2, keepdim=True), gh, state)


class Noisy(Gated):
    """Draws noise."""

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        return super().definition(gx + torch.randn_like(gx), gh, state)


class OneGate(Gated):
    """Gives one gate of two."""

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        after, gates = super().definition(gx, gh, state)
        return after, gates[:1]


class Wide(Gated):
    """Computes in float64."""

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        return super().definition(gx.double(), gh.double(), tuple(part.double() for part in state))


class PastProduct(Cell):
    """Multiplies by a weight without `parameters.product`."""

    gates: ClassVar[tuple[str, ...]] = ("h",)

    name: Literal["past_product"] = "past_product"

    def step(self, gx: Tensor, state: State, parameters: Recurrent) -> tuple[State, State]:
        h = (gx + torch.bmm(state[0], parameters.layer.recurrent["W_hh"])).tanh()
        return (h,), (h,)


class WrongRule(Rnn):
    """A rule that is not that of its definition."""

    def rule(self) -> Rule:
        return Rnn(nonlinearity="sigmoid").rule()


class Global(Striped):
    """Draws from NumPy's global state."""

    def draw(self, fan_in: int, fan_out: int, gates: tuple[str, ...], rng: Any) -> NDArray[np.float64]:
        return np.random.normal(size=(fan_in, fan_out * len(gates)))


class Narrow(Striped):
    """Draws one gate."""

    def draw(self, fan_in: int, fan_out: int, gates: tuple[str, ...], rng: Any) -> NDArray[np.float64]:
        return super().draw(fan_in, fan_out, gates[:1], rng) * np.ones((1, fan_out))


class Single(Striped):
    """Draws in float32."""

    def draw(self, fan_in: int, fan_out: int, gates: tuple[str, ...], rng: Any) -> Any:
        return super().draw(fan_in, fan_out, gates, rng).astype(np.float32)


class Shared(Softly):
    """Divides by the largest entry of all replicas."""

    @classmethod
    def act(cls, clips: Sequence[Self], gradient: Gradient) -> tuple[Tensor, NDArray[np.float64]]:
        rows = gradient.plain()
        return rows / rows.nan_to_num().abs().max().clamp(min=1), np.ones(len(clips))


class Percent(Softly):
    """Gives the share in per cent."""

    @classmethod
    def act(cls, clips: Sequence[Self], gradient: Gradient) -> tuple[Tensor, NDArray[np.float64]]:
        rows, share = super().act(clips, gradient)
        return rows, 100 * share


class Silent(Softly):
    """Takes NaN for 0."""

    @classmethod
    def act(cls, clips: Sequence[Self], gradient: Gradient) -> tuple[Tensor, NDArray[np.float64]]:
        rows, share = super().act(clips, gradient)
        return rows.nan_to_num(), share


class Normed(Rprop):
    """Scales by the norm of a row."""

    def build(self, parameters: list[Tensor]) -> Optimizer:
        class Scaled(SGD):
            def step(self, closure: Any = None) -> Any:
                for group in self.param_groups:
                    for parameter in group["params"]:
                        parameter.grad /= parameter.grad.norm(dim=1, keepdim=True)
                return super().step(closure)

        return Scaled(parameters, lr=self.lr)


class Stacked(Rprop):
    """Scales by the norm over all replicas."""

    def build(self, parameters: list[Tensor]) -> Optimizer:
        class Scaled(SGD):
            def step(self, closure: Any = None) -> Any:
                for group in self.param_groups:
                    for parameter in group["params"]:
                        parameter.grad /= 1 + parameter.grad.norm()
                return super().step(closure)

        return Scaled(parameters, lr=self.lr)


class Still(Rprop):
    """Moves nothing."""

    def build(self, parameters: list[Tensor]) -> Optimizer:
        return SGD([torch.zeros(1, requires_grad=True)], lr=self.lr)


class Unseeded(Parity):
    """Draws from NumPy's global state."""

    def draw(self, rng: Any, batch: int, dtype: Any) -> Batch:
        return super().draw(np.random.default_rng(np.random.randint(1 << 30)), batch, dtype)


class Transposed(Parity):
    """Has the batch first."""

    def draw(self, rng: Any, batch: int, dtype: Any) -> Batch:
        drawn = super().draw(rng, batch, dtype)
        return Batch(drawn.x.swapaxes(0, 1), drawn.y)


class Classes(Parity):
    """Has a class too many."""

    def draw(self, rng: Any, batch: int, dtype: Any) -> Batch:
        drawn = super().draw(rng, batch, dtype)
        return Batch(drawn.x, drawn.y + 1)


class Lucky(Parity):
    """Takes NaN for right."""

    def mistakes(self, outputs: Tensor, y: Tensor) -> Tensor:
        return super().mistakes(outputs, y).where(~outputs.isnan().any(-1), 0)


class NoChance(Parity):
    """Has a chance of 0."""

    def chance(self) -> Chance:
        return Chance(0.0, 0.5)


class Meddling(Sparsity):
    """Changes a weight."""

    def measure(self, view: View) -> Figures:
        with torch.no_grad():
            view.network.layer(0).b[0, 0] += 1
        return {"sparsity": np.zeros(view.network.replicas)}


class Averaged(Sparsity):
    """Measures all replicas together."""

    def measure(self, view: View) -> Figures:
        norm = float(view.network.layer(0).W_hh.norm())
        return {"sparsity": np.full(view.network.replicas, norm)}


class Scalar(Sparsity):
    """Gives one number for all."""

    def measure(self, view: View) -> Any:
        return {"sparsity": 0.5}


class Unnamed(Sparsity):
    """Measures a column that it does not name."""

    def measure(self, view: View) -> Figures:
        return {"density": np.zeros(view.network.replicas)}


class Rows(Sparsity):
    """Promises a row too many."""

    def gradient_rows(self, config: Any) -> int:
        return super().gradient_rows(config) + 1


class Forgetful(Squares):
    """Answers otherwise the second time."""

    asked: ClassVar[set[int]] = set()

    def due(self, update: int, updates: int | None = None) -> bool:
        again = update in self.asked
        self.asked.add(update)
        return super().due(update) and not again


class Never(Squares):
    """Measures nothing."""

    def due(self, update: int, updates: int | None = None) -> bool:
        return False


class Late(Squares):
    """Says that nothing is due before 10, and measures at 0."""

    def first(self) -> int:
        return 10


FAULTS: list[tuple[str, type[Part], str]] = [
    ("inits", Undescribed, r"each option has a description: .*; seen: height"),
    ("cells", InPlace, "a timestep changes nothing of what it is given"),
    ("cells", Detached, "autograd's derivative of a timestep is that of central differences"),
    ("cells", Mixed, "rows and replicas do not meet"),
    ("cells", Noisy, "a timestep leaves torch's global random state alone"),
    ("cells", OneGate, "one activation for each of `gates`; seen: 1"),
    ("cells", Wide, "states and gates keep the dtype, torch.float32; seen: torch.float64"),
    ("cells", PastProduct, "the gradient of layer0.W_hh is that of central differences of the loss"),
    ("cells", WrongRule, "the rule gives the loss that the definition gives"),
    ("inits", Global, "a draw leaves NumPy's global random state alone|a draw follows from its generator alone"),
    ("inits", Narrow, r"a draw has the shape \[fan_in, gates \* fan_out\]"),
    ("inits", Single, "a draw is float64; seen: float32"),
    ("clips", Shared, "replicas do not meet: each gets, to the bit, the gradient that it would get alone"),
    ("clips", Percent, "the clipped share is within 0 and 1"),
    ("clips", Silent, "an entry that is NaN stays NaN"),
    ("optimizers", Normed, "the rule is elementwise: no entry depends on another"),
    ("optimizers", Stacked, "replicas do not meet: each is updated, to the bit, as it would be alone"),
    ("optimizers", Still, "a gradient moves the weights"),
    ("tasks", Unseeded, "a batch in float32 is that in float64|a stream leaves NumPy's global random state alone"),
    ("tasks", Transposed, r"x is \[timesteps, B, inputs\]"),
    ("tasks", Classes, "classes are 0 to outputs - 1"),
    ("tasks", Lucky, "an answer that is NaN is a mistake"),
    ("tasks", NoChance, "the loss of chance is above 0"),
    ("probes", Meddling, "a probe changes nothing of what it is shown"),
    ("probes", Averaged, "replicas do not meet: the sparsity of each is what it would be alone"),
    ("probes", Scalar, r"sparsity is a number for each replica \[R\]"),
    ("probes", Unnamed, "it measures columns that it names in `columns`, and no other; seen: {'density'}"),
    ("probes", Rows, "`rows` gives the 3 rows that `gradient_rows` promises; seen: 2"),
    ("schedules", Forgetful, "a schedule has no memory"),
    ("schedules", Never, "something is measured within the first 300 updates"),
    ("schedules", Late, "nothing is measured before `first`"),
]


@pytest.mark.parametrize(("kind", "part", "told"), FAULTS, ids=[part.__name__ for _, part, _ in FAULTS])
def test_a_fault_is_told_by_its_law(kind: str, part: type[Part], told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        CHECKS[kind](part)


def test_a_part_without_what_every_part_has_is_told() -> None:
    class Bare(Part):
        name: Literal["bare"] = "bare"

    class Open(Part, frozen=False):
        """A part that changes."""

        name: Literal["open"] = "open"

    class Lenient(Part, extra="ignore"):
        """A part that takes any option."""

        name: Literal["lenient"] = "lenient"

    class Needy(Part):
        """A part that needs an option."""

        name: Literal["needy"] = "needy"
        size: int = Field(description="Needed.")

    Bare.__doc__ = None
    for part, told in (
        (Bare, "has a docstring"),
        (Open, "a part stays as it is"),
        (Lenient, "an unknown option is refused"),
        (Needy, "the option 'size' is needed and has no `examples=`"),
    ):
        with pytest.raises(AssertionError, match=told):
            check_part(part)
    check_part(Needy(size=3))


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_probe(Sparsity)
    check_task(Parity)
    check_cell(Leaky)
    assert not [*tmp_path.iterdir()]
