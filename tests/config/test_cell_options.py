"""The options of cells are keys of `model`, those of cells from outside too, and only while their cell is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field
from torch import Tensor

from rnnlab.cells import CELLS, Cell, State
from rnnlab.config import Config, load_config
from rnnlab.config.cell_options import added_options, cell_options
from rnnlab.config.jsonschema import json_schema
from rnnlab.config.keys import axis_keys
from rnnlab.config.sections import Model
from rnnlab.errors import ConfigError
from rnnlab.sweeps.file.load import load_sweep


class Leaky(Cell):
    """h_t = (1 - leak) h_{t-1} + leak tanh(...)."""

    source: ClassVar[str] = "this test"
    gates: ClassVar[tuple[str, ...]] = ("c",)

    name: Literal["leaky"] = "leaky"
    leak: float = Field(default=0.3, gt=0, le=1, description="Share of what is new.")
    # The same name as an option of rnnlab's own cells, with a bound of its own.
    gamma: float = Field(default=0.5, ge=0, le=1, description="Nothing.")

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        c = (gx + gh).tanh()
        return ((1 - self.leak) * state[0] + self.leak * c,), (c,)

    def nonlinearities(self) -> tuple[str, ...]:
        return ("tanh",)


class Needy(Leaky):
    """One that has to be told how leaky it is."""

    name: Literal["needy"] = "needy"  # type: ignore[assignment]
    leak: float = Field(gt=0, le=10, description="Share of what is new.")


class Greedy(Leaky):
    """One whose option is a key of every network."""

    name: Literal["greedy"] = "greedy"  # type: ignore[assignment]
    hidden: int = Field(default=3, description="Something else.")


@pytest.fixture
def leaky() -> Iterator[type[Leaky]]:
    CELLS["leaky"] = Leaky
    yield Leaky
    CELLS.pop("leaky", None)


def config(**model: Any) -> Config:
    return load_config({"task": "copy", "model": model})


@pytest.mark.usefixtures("leaky")
def test_it_is_a_key_of_model() -> None:
    assert config(cell="leaky", leak=0.1).model.build_cell() == Leaky(leak=0.1)
    assert config(cell="leaky").model.build_cell() == Leaky(leak=0.3, gamma=0.5)
    assert config(cell="leaky").resolved()["model"]["leak"] == 0.3
    assert load_config({"task": "copy"}, sets=["model.cell=leaky", "model.leak=0.2"]).model.build_cell() == Leaky(
        leak=0.2
    )
    assert "model.leak" in axis_keys()
    assert "leak" in json_schema()["$defs"]["Model"]["properties"]
    assert cell_options()[-1] == "leak"


@pytest.mark.usefixtures("leaky")
def test_it_is_an_axis_that_names_its_runs() -> None:
    axes = {"list": [{"model.cell": "rnn"}, {"model.cell": "leaky", "model.leak": 0.1}]}
    sweep = load_sweep({"base": {"task": "copy"}, "axes": axes})
    assert [member.config.model.cell for member in sweep.members] == ["rnn", "leaky"]
    assert len({member.name for member in sweep.members}) == 2


@pytest.mark.usefixtures("leaky")
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"cell": "leaky", "leak": 0}, "model.leak: must be above 0, not 0"),
        ({"cell": "leaky", "leak": 2}, "model.leak: must be 1 or less, not 2"),
        ({"cell": "leaky", "gamma": 2}, "model.gamma: of leaky must be less than or equal to 1"),
        ({"cell": "leaky", "leek": 1}, "did you mean 'leak'?"),
        ({"cell": "rnn", "leak": 1}, "model.leak: rnn has no leak; leaky can choose"),
        ({"cell": {"name": "leaky", "leak": 1}}, "a cell's options are keys of model, beside its name, as model.leak"),
    ],
)
def test_a_wrong_one_is_named(model: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        config(**model)


@pytest.mark.usefixtures("leaky")
def test_of_two_cells_each_has_its_own_bounds() -> None:
    CELLS["needy"] = Needy
    try:
        assert config(cell="needy", leak=5).model.build_cell() == Needy(leak=5)
        with pytest.raises(ConfigError, match="of leaky must be less than or equal to 1"):
            config(cell="leaky", leak=5)
        with pytest.raises(ConfigError, match="needy needs it"):
            config(cell="needy")
    finally:
        del CELLS["needy"]


def test_a_run_of_another_cell_is_the_same_run_whichever_cells_are_there() -> None:
    before, made = config(cell="lstm").identity(), config(cell="lstm")
    CELLS["leaky"] = Leaky
    try:
        assert config(cell="lstm").identity() == before
        assert made.identity() == before
        assert made.model.build_cell() == config(cell="lstm").model.build_cell()
        assert load_config(config(cell="leaky", leak=0.1).resolved()) == config(cell="leaky", leak=0.1)
    finally:
        del CELLS["leaky"]
    assert config(cell="lstm").identity() == before


def test_it_goes_with_its_cell(leaky: type[Leaky]) -> None:
    assert added_options() == {"leak"}
    del CELLS[leaky.key()]
    assert added_options() == frozenset()
    assert "leak" not in Model.model_fields
    with pytest.raises(ConfigError, match=r"model\.leak: there is no such key"):
        config(cell="rnn", leak=0.1)


def test_a_cell_whose_option_is_a_key_of_every_network_does_not_join() -> None:
    with pytest.raises(ValueError, match="the option 'hidden' of the cell 'greedy' is a key of every network"):
        CELLS["greedy"] = Greedy
    assert "greedy" not in CELLS
    assert added_options() == frozenset()
    assert config(cell="lstm", hidden=4).model.hidden == 4
