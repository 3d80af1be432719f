"""The JSON Schema of a config: what an editor checks and completes by."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from rnnlab.config.schema import Config
from rnnlab.plugins import load_installed

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12), with descriptions and defaults; every config that can be loaded fulfils it."""
    load_installed()
    schema = Config.model_json_schema(schema_generator=_ForEditors)
    return {"$schema": DIALECT, **schema, "title": "rnnlab config"}


class _ForEditors(GenerateJsonSchema):
    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        # A part may be given without its name, and then fits several: oneOf would refuse that.
        made = super().tagged_union_schema(schema)
        return {"anyOf": made["oneOf"]}

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False
