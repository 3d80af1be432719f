"""The JSON Schema: what loads fulfils it, what an editor should mark does not, and the file in configs/ is the same."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from random_configs import ANY_CONFIG
from shipped import CONFIGS, SWEEPS

from rnnlab.config import Config, json_schema, known_keys, load_config, starter
from rnnlab.config.yaml_tree import parse

SCHEMA = json_schema()
ROOT = Path(__file__).parents[2]
TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def fulfils(value: Any, schema: Mapping[str, Any]) -> bool:
    """Slow and obvious: the keywords of draft 2020-12 that the schema uses, and no others."""
    known = {
        *("$schema", "$defs", "$ref", "title", "description", "default", "examples", "format"),
        *("type", "enum", "const", "anyOf", "properties", "required", "additionalProperties", "items", "minItems"),
        *("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "minLength", "maxLength", "pattern"),
    }
    assert set(schema) <= known, set(schema) - known
    if "$ref" in schema and not fulfils(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]):
        return False
    if "type" in schema and not (
        isinstance(value, TYPES[schema["type"]]) and (schema["type"] == "boolean" or not isinstance(value, bool))
    ):
        return False
    checks = [
        value in schema.get("enum", [value]),
        value == schema.get("const", value),
        "anyOf" not in schema or any(fulfils(value, one) for one in schema["anyOf"]),
    ]
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        checks += [key in value for key in schema.get("required", ())]
        checks += [fulfils(item, properties[key]) for key, item in value.items() if key in properties]
        checks += [schema.get("additionalProperties", True) or set(value) <= set(properties)]
    if isinstance(value, list):
        checks += [fulfils(item, schema.get("items", {})) for item in value] + [len(value) >= schema.get("minItems", 0)]
    if isinstance(value, str):
        checks += [re.search(schema.get("pattern", ""), value) is not None, len(value) >= schema.get("minLength", 0)]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = float("-inf"), float("inf")
        checks += [schema.get("minimum", low) <= value <= schema.get("maximum", high)]
        checks += [schema.get("exclusiveMinimum", low) < value < schema.get("exclusiveMaximum", high)]
    return all(checks)


@settings(deadline=None)
@given(ANY_CONFIG)
def test_whatever_loads_fulfils_the_schema(mapping: dict[str, Any]) -> None:
    assert fulfils(mapping, SCHEMA)
    assert fulfils(load_config(mapping).resolved(), SCHEMA)


@pytest.mark.parametrize("path", [path for path in CONFIGS if path not in SWEEPS], ids=lambda path: path.name)
def test_a_shipped_config_fulfils_the_schema(path: Path) -> None:
    assert fulfils(parse(path.read_text(), path.name)[0].plain(), SCHEMA)


def test_the_starter_fulfils_the_schema() -> None:
    assert fulfils(parse(starter(), "starter")[0].plain(), SCHEMA)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hiden": 3},
        {"model": {"hiden": 3}},
        {"model": {"cell": "lsmt"}},
        {"model": {"hidden": 0}},
        {"model": {"hidden": "3"}},
        {"model": {"init": {"recurrent": "chrono"}}},
        {"clip": {"name": "none", "threshold": 3}},
        {"clip": {"name": "norm", "threshold": 0}},
        {"optimizer": "adm"},
        {"probe": {"schedule": 0}},
        {"probe": {"which": ["spectrm"]}},
        {"task": "text"},
        {"task": {"name": "addition", "length": "long"}},
        {"device": "gpu"},
        {"dtype": "float16"},
    ],
    ids=str,
)
def test_an_editor_marks_what_is_wrong(wrong: dict[str, Any]) -> None:
    assert not fulfils({"task": "copy", **wrong}, SCHEMA)


@pytest.mark.parametrize(
    "form", [{"schedule": 3}, {"schedule": [1]}, {"schedule": {"per_decade": 3}}, {"which": "adjoint"}]
)
def test_an_editor_takes_the_shorter_forms(form: dict[str, Any]) -> None:
    assert fulfils({"task": "copy", "probe": form, "optimizer": {"lr": 0.1}, "model": {"init": "torch"}}, SCHEMA)


def test_everything_is_described() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert all(field.description for key, field in known_keys().items() if not key.endswith(".name") or key == "name")
    assert set(SCHEMA["properties"]) == set(Config.model_fields)
    assert all("default" in of for key, of in SCHEMA["properties"].items() if key != "task")


def test_no_example_of_python_is_in_a_description() -> None:
    for name in ("configs/schema.json", "configs/sweep.schema.json", "docs/PARTS.md"):
        assert ">>>" not in (ROOT / name).read_text(), name


def test_the_file_in_configs_is_the_same() -> None:
    assert json.loads((ROOT / "configs" / "schema.json").read_text()) == SCHEMA, "run `make docs`"
