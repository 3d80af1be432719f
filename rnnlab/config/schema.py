"""Config: everything that says what a run is.

A new key is part of the identity and of a fleet's shape, and can be an axis; where that is wrong, say so in `facts`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, ValidationError, ValidationInfo, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from rnnlab.catalog import config_tables
from rnnlab.clips import CLIPS, Clip, NoClip
from rnnlab.config.cell_options import add_cell_options, added_options
from rnnlab.config.checks import conflicts
from rnnlab.config.facts import identifying
from rnnlab.config.sections import Model, Probing, Section, Train
from rnnlab.config.yaml_scalars import dump
from rnnlab.errors import UsageError
from rnnlab.inits import Inits
from rnnlab.names import check_name
from rnnlab.optimizers import OPTIMIZERS, Adam, OptimizerPart
from rnnlab.parts import OneOf, Part
from rnnlab.penalties import PENALTIES, NoPenalty, Penalty
from rnnlab.tasks import TASKS, Task
from rnnlab.wording import shortened

DEVICES = r"^(auto|cpu|cuda(:[0-9]{1,4})?)$"


def _checked_name(name: str) -> str:
    try:
        check_name(name)
    except UsageError as error:
        raise ValueError(str(error).removeprefix("name: ")) from None
    return name


def _checked_device(device: str) -> str:
    if not re.fullmatch(DEVICES, device):
        raise ValueError(f"must be auto, cpu, cuda or cuda:N (N from 0), not {shortened(repr(device))}")
    return device


class Config(Section):
    """One run, described: task, network, clip, penalty, optimizer, training, probes and seed.

    Made from YAML by `load_config`, which answers mistakes with a ConfigError; made directly it raises pydantic's own
    ValidationError. `resolved` has every default written out.

    >>> from rnnlab.config import load_config
    >>> config = load_config({"task": "copy", "model": {"hidden": 50}})
    >>> config.model.cell, config.train.updates
    ('lstm', 1000)
    >>> config.identity() == load_config({**config.resolved(), "device": "cpu"}).identity()
    True
    """

    task: Annotated[Task, OneOf(TASKS)] = Field(description="What is learned; `length` is the sequence length.")
    model: Model = Field(default=Model(), description="The network.")
    clip: Annotated[Clip, OneOf(CLIPS, "none")] = Field(default=NoClip(), description="Gradient clipping.")
    penalty: Annotated[Penalty, OneOf(PENALTIES, "none")] = Field(
        default=NoPenalty(), description="A term whose gradient is added to that of the loss, before the clip."
    )
    optimizer: Annotated[OptimizerPart, OneOf(OPTIMIZERS, "adam")] = Field(
        default=Adam(), description="Rule that turns gradients into updates."
    )
    train: Train = Field(default=Train(), description="How long and how the network is trained.")
    probe: Probing = Field(default=Probing(), description="What is measured, and when.")
    seed: int = Field(default=0, ge=0, lt=2**63, description="Seed of initial weights and data.")
    device: Annotated[str, AfterValidator(_checked_device)] = Field(
        default="auto",
        description="Where it runs: auto (a CUDA device where there is one), cpu, cuda or cuda:N.",
        json_schema_extra={"pattern": DEVICES},
    )
    dtype: Literal["float32", "float64"] = Field(default="float32", description="Number format of weights and states.")
    plugins: tuple[str, ...] = Field(
        default=(),
        description="Files (from this one on) and modules that bring parts; loaded with --plugin or --allow-plugins.",
    )
    name: Annotated[str, AfterValidator(_checked_name)] | None = Field(
        default=None, description="Name of the run and its folder; null: made of task, cell, length and seed."
    )
    notes: str | None = Field(default=None, description="Anything worth remembering; changes nothing.")

    @model_validator(mode="after")
    def _without_conflicts(self, info: ValidationInfo) -> Self:
        if (info.context or {}).get("checks") is False:
            return self
        errors: list[InitErrorDetails] = []
        for conflict in conflicts(self):
            kind = PydanticCustomError("conflict", "{message}", {"message": conflict.message})
            errors.append({"type": kind, "loc": conflict.key, "input": None})
        if errors:
            raise ValidationError.from_exception_data("Config", errors)
        return self

    def parts(self) -> list[tuple[str, str]]:
        """Every part that it names, with its kind.

        >>> from rnnlab.config import load_config
        >>> load_config({"task": "copy"}).parts()[:3]
        [('cells', 'lstm'), ('probes', 'adjoint'), ('probes', 'spectrum')]
        """
        named = [("cells", self.model.cell), *(("probes", name) for name in self.probe.which)]
        values = [(kind, part) for part in _parts_in(self) for kind, table in config_tables().items()
                  if table.get(part.key()) is type(part)]  # fmt: skip
        return [*named, *((kind, part.key()) for kind, part in values)]

    def resolved(self) -> dict[str, Any]:
        """Every key with its value, defaults written out, in the types of JSON.

        Without the options of other cells from outside, so that it is the same whichever plugins are loaded.
        """
        settings = self.model_dump(mode="json")
        for option in added_options():
            if settings["model"].get(option, "") is None:
                del settings["model"][option]
        return settings

    @property
    def penalised(self) -> bool:
        """Whether anything is added to the gradient of the loss."""
        return not isinstance(self.penalty, NoPenalty)

    def to_yaml(self) -> str:
        """The resolved config as YAML, which `load_config` reads back to an equal config."""
        return dump(self.resolved())

    def seeded(self, *seeds: int) -> list[Config]:
        """This config under each of these seeds."""
        return [self.model_copy(update={"seed": seed}) for seed in seeds]

    def identity(self) -> str:
        """A hash of the resolved config without the keys that make no other run; 64 hexadecimal digits."""
        settings = identifying(self.resolved())
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _parts_in(model: BaseModel) -> Iterator[Part]:
    """The parts that are values of a model's keys, and of those of its sections and parts."""
    for key in type(model).model_fields:
        value = getattr(model, key)
        if isinstance(value, Part):
            yield value
        if isinstance(value, BaseModel):
            yield from _parts_in(value)


def _rebuild() -> None:
    """Build the models anew from the tables as they are now; configs that were made before stay good."""
    add_cell_options(Model)
    # pydantic compiles a table's parts into the validator of each model that has one, and into those around it.
    for model in (Inits, Model, Probing, Config):
        model.model_rebuild(force=True)


for _table in config_tables().values():
    _table.when_changed(_rebuild)
