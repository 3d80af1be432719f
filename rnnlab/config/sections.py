"""The sections of a config that are not parts of a table: `model`, `train` and `probe`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from rnnlab.cells import CELLS, Cell
from rnnlab.config.cell_options import cell_options
from rnnlab.config.stop import StopRule, stop_rule
from rnnlab.inits import Inits
from rnnlab.parts import NameIn, OneOf, named, without_example
from rnnlab.probes import DEFAULT_PROBES, PROBES, SCHEDULES, Log, Probe, Schedule, as_schedule


class Section(BaseModel):
    """Some keys of a config that belong together; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, json_schema_extra=without_example)

    def _fill(self, key: str, value: Any) -> None:
        """Set the value that a null stands for, during validation; afterwards the section is frozen."""
        self.__dict__[key] = value


def _choices(option: str) -> list[str]:
    """The values that any cell has for one of its options."""
    fields = [cell.model_fields[option] for cell in CELLS.values() if option in cell.model_fields]
    return list(dict.fromkeys(name for field in fields for name in get_args(field.annotation)))


def _cell_of(value: Any) -> type[Cell] | None:
    """The class of the cell that a mapping for `model` names, if there is one."""
    name = value.get("cell", Model.model_fields["cell"].default) if isinstance(value, Mapping) else None
    return CELLS.get(name) if isinstance(name, str) else None


class Model(Section):
    """The network: layers of one cell, and a linear read-out.

    >>> Model(cell="rnn", nonlinearity="relu").build_cell()
    Rnn(name='rnn', nonlinearity='relu')
    """

    cell: Annotated[str, NameIn(CELLS)] = Field(default="lstm", description="Kind of recurrent cell.")
    nonlinearity: Annotated[str, NameIn(partial(_choices, "nonlinearity"))] | None = Field(
        default=None, description="phi of a cell that leaves it open (rnn); null: tanh there, and nothing elsewhere."
    )
    reset: Annotated[str, NameIn(partial(_choices, "reset"))] | None = Field(
        default=None,
        description="Where the reset gate acts (gru): after the recurrent product, as in torch and Keras, or before "
        "it, as in the paper; null: after there, and nothing elsewhere.",
    )
    epsilon: Annotated[float, Field(gt=0, le=1e6)] | None = Field(
        default=None,
        description="Size of a step in time (antisymmetric), or damping (cornn); null: 0.01 and 4.7 there, and nothing "
        "elsewhere.",
    )
    gamma: Annotated[float, Field(ge=0, le=1e6)] | None = Field(
        default=None,
        description="Diffusion (antisymmetric), or stiffness (cornn); null: 0.01 and 2.7 there, and nothing elsewhere.",
    )
    dt: Annotated[float, Field(gt=0, le=1e6)] | None = Field(
        default=None, description="Size of a step in time (cornn); null: 0.042 there, and nothing elsewhere."
    )
    hidden: PositiveInt = Field(default=100, le=10**6, description="Hidden units H of every layer.")
    layers: PositiveInt = Field(default=1, le=100, description="Recurrent layers, one upon the other.")
    init: Inits = Field(
        default=Inits(), description="How weights and biases start: a preset (torch, keras), or each by its key."
    )
    forget_bias: float | None = Field(
        default=None,
        description="Bias of the forget gate (lstm), in place of what init.bias draws there; null: as drawn.",
    )
    recurrent_bias: bool | None = Field(
        default=None,
        description="A second bias b_hh beside W_hh, as torch has; null: with `init: torch` and for gru.",
    )

    @model_validator(mode="before")
    @classmethod
    def _with_presets_biases(cls, value: Any) -> Any:
        """A preset that draws a b_hh brings one, unless it is refused; then there is none to draw."""
        init = value.get("init") if isinstance(value, Mapping) else None
        given = init if isinstance(init, Mapping) else {"preset": init}
        if given.get("preset") != "torch":
            return value
        cell = _cell_of(value)
        refused = cell is not None and not cell.model_construct().recurrent
        if value.get("recurrent_bias") is None and not refused:
            return {**value, "recurrent_bias": True}
        if not value.get("recurrent_bias"):
            return {**value, "init": {"recurrent_bias": "zeros", **given}}
        return value

    @model_validator(mode="before")
    @classmethod
    def _with_the_cells_initializer(cls, value: Any) -> Any:
        """A cell whose recurrent parameters are no matrices has its own initializer for them, whatever the preset."""
        cell = _cell_of(value)
        if cell is None or cell.recurrent_init is None or isinstance(init := value.get("init"), Inits):
            return value
        given = init if isinstance(init, Mapping) else {} if init is None else {"preset": init}
        part = given.get("recurrent", {})
        return {**value, "init": {**given, "recurrent": named(part, cell.recurrent_init)}}

    @model_validator(mode="after")
    def _filled(self) -> Self:
        cell = CELLS[self.cell]
        for option in cell_options():
            if getattr(self, option, None) is None and option in cell.model_fields:
                given = cell.model_fields[option]
                self._fill(option, None if given.is_required() else given.get_default(call_default_factory=True))
        if self.recurrent_bias is None:
            self._fill("recurrent_bias", self.unchecked_cell().needs_recurrent_bias)
        return self

    def unchecked_cell(self) -> Cell:
        """The cell with its options, whether it knows them or not."""
        cell = CELLS[self.cell]
        return cell.model_construct(None, **self.given_options())

    def build_cell(self) -> Cell:
        """The cell with its options."""
        cell = CELLS[self.cell]
        return cell.model_validate(self.given_options())

    def given_options(self) -> dict[str, Any]:
        """The values of the options that the cell has."""
        known = CELLS[self.cell].model_fields
        return {option: getattr(self, option, None) for option in cell_options() if option in known}


def _zero_for_null(value: Any) -> Any:
    return 0 if value is None else value


class Train(Section):
    """How long and how the network is trained.

    >>> Train(stop="error<0.01").stop_rule
    StopRule(quantity='error', operator='<', level=0.01)
    """

    batch: PositiveInt = Field(default=20, le=10**6, description="Sequences in a batch, B.")
    updates: PositiveInt | None = Field(
        default=None, le=10**9, description="Updates to make, one batch each; null: 1000, or as `epochs` says."
    )
    epochs: PositiveInt | None = Field(
        default=None,
        le=10**9,
        description="Passes over the training data, in place of `updates`; for data that have an end.",
    )
    stop: Annotated[str, AfterValidator(lambda text: str(stop_rule(text)))] | None = Field(
        default=None,
        description="End early when an evaluation fulfils this: loss or error, < or <=, a number; null: never.",
        examples=["error < 0.01"],
    )
    evaluate_every: Annotated[
        NonNegativeInt, BeforeValidator(_zero_for_null, json_schema_input_type=NonNegativeInt | None)
    ] = Field(default=100, description="Updates between two evaluations on the validation split; 0: only at the end.")
    evaluate_size: PositiveInt = Field(default=1000, le=1_000_000, description="Sequences in an evaluation, at most.")
    detach: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0,
        description="h-detach (Kanuparthi et al. 2019, arXiv:1810.03023), for the LSTM: the probability with which a "
        "timestep passes nothing back through h_{t-1} to the gates, so that what comes along c_t weighs more; drawn "
        "anew for each update, layer and timestep, and on the general scan.",
    )
    nonfinite: Literal["stop", "skip"] = Field(
        default="stop",
        description="A loss or gradient that is not finite ends the run as diverged, or skips the update.",
    )
    scan: Literal["auto", "general", "fast", "fused", "triton"] = Field(
        default="auto",
        description="Loop over time: fast (compiled, on the CPU), fused (torch's own layers, cuDNN on CUDA; one run of "
        "rnn with tanh or relu, lstm or gru), triton (compiled, on CUDA; rnn, lstm, gru), general (by the cell's "
        "definition, any device); auto: fast on the CPU, on CUDA fused for one run and triton for a fleet, general "
        "where those cannot.",
    )
    tf32: bool = Field(
        default=False,
        description="Float32 products on a CUDA device in TF32, with 10 binary places in place of 23: faster, and "
        "rounded 8000 times as coarsely.",
    )
    checkpoint_seconds: NonNegativeFloat = Field(
        default=60,
        le=10**9,
        description="Seconds between two checkpoints, more where writing them would take over 2% of the time; "
        "0: after every update.",
    )
    log_every: NonNegativeInt = Field(
        default=10,
        description="Updates between two rows of metrics.csv, besides those of probes and evaluations; 0: only those.",
    )

    @model_validator(mode="after")
    def _filled(self) -> Self:
        if self.updates is None and self.epochs is None:
            self._fill("updates", 1000)
        return self

    @property
    def stop_rule(self) -> StopRule | None:
        """The stop rule, read."""
        return None if self.stop is None else stop_rule(self.stop)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _all_for_one(value: Any) -> Any:
    return "all" if value == 1 and not isinstance(value, bool) else value


ProbeName = Annotated[str, NameIn(PROBES)]


class Probing(Section):
    """What is measured, at which updates and which timesteps.

    >>> Probing(schedule=10, which="adjoint").schedule
    Every(name='every', n=10)
    """

    which: Annotated[
        list[ProbeName],
        BeforeValidator(_as_list, json_schema_input_type=ProbeName | list[ProbeName]),
        AfterValidator(lambda given: [name for name in PROBES if name in given]),
    ] = Field(default=[probe.key() for probe in DEFAULT_PROBES], description="Probes to run; [] for none.")
    schedule: Annotated[
        Schedule,
        OneOf(SCHEDULES, "log", as_schedule, PositiveInt | Annotated[list[NonNegativeInt], Field(min_length=1)]),
    ] = Field(
        default=Log(),
        description="Updates to measure at: log, a number for every n-th, a list of updates, or a mapping.",
    )
    timesteps: Annotated[
        Literal["all"] | PositiveInt,
        BeforeValidator(_all_for_one, json_schema_input_type=Literal["all"] | PositiveInt),
    ] = Field(
        default="all", description="Timesteps with a row in gradients.csv: all, or every n-th counted from the last."
    )

    def probes(self) -> list[Probe]:
        """The probes, in the order of their table."""
        return [PROBES[name].model_validate({}) for name in self.which]

    @property
    def stride(self) -> int:
        """Timesteps between two rows of gradients.csv."""
        return 1 if self.timesteps == "all" else self.timesteps
