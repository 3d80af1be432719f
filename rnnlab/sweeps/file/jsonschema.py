"""The JSON Schema of a sweep file, for editors."""

from __future__ import annotations

from typing import Any

from rnnlab.config import json_schema
from rnnlab.config.keys import axis_keys
from rnnlab.sweeps.file.distributions import EXAMPLES


def sweep_schema() -> dict[str, Any]:
    """The schema (draft 2020-12); every sweep that can be loaded matches it."""
    config = json_schema()
    defs, dialect = config.pop("$defs"), config.pop("$schema")
    # An axis may give a key that the base leaves out.
    config.pop("required", None)
    return {
        "$schema": dialect,
        "title": "rnnlab sweep",
        "$defs": {**defs, "Config": config, "axis": {"enum": [*axis_keys()]}},
        "type": "object",
        "properties": {
            "base": {
                "description": "What all runs have in common: a config, or the path of one, from this file on.",
                "anyOf": [{"$ref": "#/$defs/Config"}, {"type": "string"}],
            },
            "axes": _axes(),
            "seeds": {
                "description": "How many seeds (0, 1, ...), or which.",
                "anyOf": [
                    {"type": "integer", "minimum": 1},
                    {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "integer", "minimum": 0}},
                ],
            },
            "plugins": {
                "description": "Files (from this one on) and modules that bring parts.",
                "type": "array",
                "items": {"type": "string", "minLength": 1},
            },
        },
        "required": ["base"],
        "anyOf": [{"required": ["axes"]}, {"required": ["seeds"]}],
        "additionalProperties": False,
    }


def _axes() -> dict[str, Any]:
    """grid, zip, random and list."""
    values = {"type": "array", "minItems": 1}
    return {
        "description": "How the runs differ; the set is the product of all that stands here and the seeds.",
        "type": "object",
        "properties": {
            "grid": _mapping("The product: each key with a list of values.", values),
            "zip": _or_list(_mapping("Together: lists of one length; their first values make a run.", values)),
            "random": _random(),
            "list": {
                "description": "One by one: each item gives the keys of one setting.",
                "type": "array",
                "minItems": 1,
                "items": _mapping("", {}),
            },
        },
        "additionalProperties": False,
    }


def _mapping(description: str, each: dict[str, Any]) -> dict[str, Any]:
    """A mapping from keys of a config to values of the schema `each`."""
    schema = {"type": "object", "minProperties": 1, "propertyNames": {"$ref": "#/$defs/axis"}}
    return {**({"description": description} if description else {}), **schema, "additionalProperties": each}


def _or_list(item: dict[str, Any]) -> dict[str, Any]:
    description = item.pop("description")
    return {"description": description, "anyOf": [item, {"type": "array", "minItems": 1, "items": item}]}


def _random() -> dict[str, Any]:
    """The schema of samples, seed, and the keys that are drawn."""
    each = [
        {"type": "object", "required": [name], "properties": {name: {"type": "array"}}, "additionalProperties": False}
        for name in EXAMPLES
    ]
    schema = _mapping("Drawn together: each key with its distribution.", {"anyOf": each})
    schema["propertyNames"] = {"anyOf": [schema["propertyNames"], {"enum": ["samples", "seed"]}]}
    counts = {"samples": {"type": "integer", "minimum": 1}, "seed": {"type": "integer", "minimum": 0}}
    return {**schema, "properties": counts, "required": ["samples"], "minProperties": 2}
