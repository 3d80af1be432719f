"""Initializers: the table, the presets of the libraries, and the model of the config's `model.init`.

base        what every initializer is
fans        Xavier and He
matrices    orthogonal, identity, sparse
ring        eigenvalues in a ring of the complex plane
plain       normal, uniform, constant, zeros
gated       biases of gates: forget, chrono
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from rnnlab.inits.base import BIASES, WEIGHTS, Array, Init, spectral_radius
from rnnlab.inits.fans import HeNormal, HeUniform, XavierNormal, XavierUniform
from rnnlab.inits.gated import Chrono, Forget
from rnnlab.inits.matrices import Identity, Orthogonal, Sparse
from rnnlab.inits.plain import Constant, Normal, Uniform, Zeros
from rnnlab.inits.ring import Ring
from rnnlab.parts import OneOf, Subset, Table, table, without_example

__all__ = ["BIASES", "INITS", "PRESETS", "WEIGHTS", "Array", "Init", "Inits", "spectral_radius"]

INITS: Table[Init] = table(
    XavierUniform,
    XavierNormal,
    HeUniform,
    HeNormal,
    Orthogonal,
    Identity,
    Sparse,
    Ring,
    Normal,
    Uniform,
    Constant,
    Zeros,
    Forget,
    Chrono,
)

# What torch.nn.RNN, LSTM, GRU and Linear do, and keras.layers.SimpleRNN, LSTM, GRU and Dense.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "torch": {
        "input": {"name": "uniform", "bound": "fan_out"},
        "recurrent": {"name": "uniform", "bound": "fan_out"},
        "bias": {"name": "uniform", "bound": "fan_out"},
        "recurrent_bias": {"name": "uniform", "bound": "fan_out"},
        "readout": {"name": "uniform", "bound": "fan_in"},
        "readout_bias": {"name": "uniform", "bound": "fan_in"},
    },
    "keras": {
        "input": {"name": "xavier_uniform", "fans": "stacked"},
        "recurrent": {"name": "orthogonal", "over": "stacked"},
        "bias": {"name": "forget", "value": 1.0},
        "recurrent_bias": {"name": "zeros"},
        "readout": {"name": "xavier_uniform"},
        "readout_bias": {"name": "zeros"},
    },
}


def _fit(place: str) -> OneOf:
    """For annotations: an initializer that can draw this place, with a message of its own for one that cannot."""
    fitting = Subset(INITS, lambda part: place in part.places)

    def placed(value: Any) -> Any:
        name = _name(value)
        if name in INITS and name not in fitting:
            context = {"given": name, "place": place, "places": ", ".join(INITS[name].places), "choices": [*fitting]}
            raise PydanticCustomError("init_place", "'{given}' cannot draw {place}; it is for {places}", context)
        return value

    return OneOf(fitting, shorthand=placed)


def _square(place: str) -> AfterValidator:
    """For annotations: no spectral radius, because the blocks of this place are not square."""

    def check(init: Init) -> Init:
        if getattr(init, "spectral_radius", None) is not None:
            message = "spectral_radius is for the recurrent weight, whose blocks are square; not for {place}"
            raise PydanticCustomError("init_radius", message, {"place": place})
        return init

    return AfterValidator(check)


def _name(value: Any) -> str:
    name = value.get("name") if isinstance(value, Mapping) else getattr(value, "name", value)
    return name if isinstance(name, str) else ""


class Inits(BaseModel):
    """How every weight and bias of a network starts.

    Given as the name of a preset, as a mapping, or as a mapping with a `preset` that its other keys override. A part
    without a `name` changes options of the one that would be there without it: {preset: keras, recurrent: {gain: 2}}.
    Once resolved the preset is spelled out and gone, so that a written config does not change with a preset.

    >>> inits = Inits.model_validate({"preset": "keras", "recurrent": {"gain": 2}})
    >>> inits.recurrent.name, inits.recurrent.over, inits.recurrent.gain
    ('orthogonal', 'stacked', 2.0)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=without_example)

    preset: Literal["torch", "keras"] | None = Field(
        default=None, exclude=True, description="Start from what this library does; other keys here win."
    )
    input: Annotated[Init, _fit("input"), _square("input")] = Field(
        default=XavierUniform(), description="Input weights W_ih [I, G*H] of every layer (I = H above the first)."
    )
    recurrent: Annotated[Init, _fit("recurrent")] = Field(
        default=Orthogonal(), description="Recurrent weights W_hh [H, G*H]."
    )
    bias: Annotated[Init, _fit("bias"), _square("bias")] = Field(default=Zeros(), description="Bias b [G*H].")
    recurrent_bias: Annotated[Init, _fit("recurrent_bias"), _square("recurrent_bias")] = Field(
        default=Zeros(), description="Recurrent bias b_hh [G*H], where the network has one."
    )
    readout: Annotated[Init, _fit("readout"), _square("readout")] = Field(
        default=XavierUniform(), description="Read-out weights [H, outputs]."
    )
    readout_bias: Annotated[Init, _fit("readout_bias"), _square("readout_bias")] = Field(
        default=Zeros(), description="Read-out bias [outputs]."
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [{"enum": [*PRESETS], "type": "string"}, mapping]}

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        given = {"preset": value} if isinstance(value, str) else value
        if not isinstance(given, Mapping) or given.get("preset") not in (None, *PRESETS):
            return given
        base = PRESETS.get(given.get("preset") or "", {})
        chosen = {key: cls._completed(key, base, part) for key, part in given.items() if key != "preset"}
        return {**base, **chosen}

    @classmethod
    def _completed(cls, key: str, base: Mapping[str, Mapping[str, Any]], part: Any) -> Any:
        if not isinstance(part, Mapping) or "name" in part or key not in cls.model_fields:
            return part
        return {**(base.get(key) or cls.model_fields[key].default.model_dump()), **part}
