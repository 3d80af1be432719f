"""`rnnlab list`. Not called list: a module of that name would shadow the builtin."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from rnnlab.catalog import KINDS, table_of
from rnnlab.cli.plugin_options import PluginNames, load_plugins
from rnnlab.errors import UsageError, nearest

EXAMPLES = """\b
Examples:
  rnnlab list
  rnnlab list inits
  rnnlab list tasks --json
"""


def list_parts(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="|".join(KINDS),
            help="Which to list; all where it is left out.",
            autocompletion=lambda incomplete: [kind for kind in KINDS if kind.startswith(incomplete)],
        ),
    ] = None,
    plugins: PluginNames = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """List what a config can name: cells, inits, clips, tasks, ...

    Each with its meaning, its options with their types and defaults, and its source. The last are the engines of
    sweeps, which no config names.
    """
    if kind is not None and kind not in KINDS:
        near = nearest(kind, KINDS)
        hint = f"; did you mean '{near}'?" if near else ""
        raise UsageError(f"there is no list of {kind!r}{hint} (choices: {', '.join(KINDS)})")
    load_plugins(plugins)
    listed = {name: [_description(part) for part in table_of(name).values()] for name in ([kind] if kind else KINDS)}
    if as_json:
        print(json.dumps(listed, indent=2))
    else:
        print("\n\n".join(_section(name, parts) for name, parts in listed.items()))


def _description(part: Any) -> dict[str, Any]:
    """The description of a part or an engine: name, meaning, options and source."""
    schema = part.model_json_schema() if hasattr(part, "model_json_schema") else {"properties": {}}
    needed = schema.get("required", ())
    options = [
        {"name": name, "type": type_text(of, schema), "required": name in needed}
        | ({"default": of["default"]} if "default" in of else {})
        | {"description": of.get("description", "")}
        for name, of in schema["properties"].items()
        if name != "name"
    ]
    places = {"places": list(part.places)} if hasattr(part, "places") else {}
    return {
        "name": part.key(),
        "meaning": part.meaning(),
        **places,
        "options": options,
        "source": getattr(part, "source", ""),
    }


def type_text(of: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """A JSON Schema in a few words: `number > 0`, `gate | stacked`."""
    if "anyOf" in of:
        return " | ".join(type_text(choice, schema) for choice in of["anyOf"])
    if "$ref" in of:
        inner = schema["$defs"][of["$ref"].rpartition("/")[2]]["properties"]
        return "{" + ", ".join(f"{name}: {type_text(value, schema)}" for name, value in inner.items()) + "}"
    if "enum" in of or "const" in of:
        return " | ".join(map(str, of.get("enum", [of.get("const")])))
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = " and ".join(f"{sign} {of[key]:g}" for key, sign in signs.items() if key in of)
    items = f" of {type_text(of['items'], schema)}" if "items" in of else ""
    name = {"array": "list", "string": "text", "boolean": "true | false"}.get(of["type"], of["type"])
    return f"{name}{items} {bounds}".rstrip()


def _section(name: str, parts: list[dict[str, Any]]) -> str:
    presets = ["  torch, keras: presets, for the whole of model.init"] if name == "inits" else []
    return "\n".join([name, *(line for part in parts for line in _lines(part)), *presets])


def _lines(part: Mapping[str, Any]) -> Iterator[str]:
    yield from _wrapped(f"  {part['name']}: {part['meaning']}", 6)
    if "places" in part:
        yield from _wrapped(f"      for {', '.join(part['places'])}", 10)
    for option in part["options"]:
        default = "needed" if option["required"] else f"default {_default_text(option.get('default'))}"
        yield from _wrapped(f"      {option['name']} ({option['type']}; {default}): {option['description']}", 10)
    if part["source"]:
        yield from _wrapped(f"      source: {part['source']}", 10)


def _default_text(default: Any) -> str:
    return default if isinstance(default, str) else json.dumps(default)


def _wrapped(text: str, indent: int) -> list[str]:
    width = min(shutil.get_terminal_size().columns, 120)
    return textwrap.wrap(text, width, subsequent_indent=" " * indent, break_on_hyphens=False)
