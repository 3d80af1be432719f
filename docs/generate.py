"""Writes docs/PARTS.md and the probes of docs/RECORDS.md from the tables; `make docs` runs it, and tests hold them."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rnnlab.catalog import table_of
from rnnlab.cli.list_parts import list_parts, type_text
from rnnlab.column import Column
from rnnlab.config import Config
from rnnlab.config.sections import Model, Probing, Train
from rnnlab.inits import PRESETS, Inits
from rnnlab.parts import text_of
from rnnlab.probes import DEFAULT_PROBES, PROBES
from rnnlab.tasks.base import LOSS_HELP

PAGE = Path(__file__).parent / "PARTS.md"
RECORDS = PAGE.with_name("RECORDS.md")
MARKS = ("<!-- Written by docs/generate.py; change the probes. -->\n", "<!-- End of what it writes. -->\n")

HEAD = """\
# What a config can say

<!-- Written by docs/generate.py from the tables in the code; change it there. `make docs` writes it anew. -->

A config is a YAML file. Only `task` is needed; every other key has the default given here. `rnnlab new` writes one to
start from, `rnnlab validate` checks one, and `rnnlab train --dry-run` prints it with every default written out. The
same list is in the terminal: `rnnlab list`, `rnnlab list inits`, and so on.

A part (a task, an initializer, a clip, ...) is given by its name, `clip: norm`, or as a mapping with options,
`clip: {name: norm, threshold: 5}`. `--set clip.threshold=5` on the command line changes one option.

Symbols: T timesteps, B sequences in a batch, I inputs, H hidden units, G gates of a cell.
"""

INTRODUCED = {
    "cells": ("Cells", "`model.cell` takes the name alone; a cell's options stand beside it in `model`."),
    "inits": ("Initializers", "For the keys of `model.init`; each says which of them it is for."),
    "clips": ("Clips", "For `clip`."),
    "penalties": ("Penalties", "For `penalty`."),
    "tasks": ("Tasks", f"For `task`. Every one has `loss`, {LOSS_HELP}."),
    "probes": ("Probes", "For `probe.which`: a list of names. What they write: [RECORDS.md](RECORDS.md)."),
    "schedules": (
        "Schedules",
        "For `probe.schedule`. In short: `10` is every 10th update, `[0, 10, 100]` these updates.",
    ),
    "optimizers": ("Optimizers", "For `optimizer`. The update rules are torch.optim's."),
    "engines": ("Engines", "For `rnnlab sweep --engine`, not for a config: [SWEEPS.md](SWEEPS.md)."),
}

# Keys that hold a section or a part are described where that is.
SECTIONS: dict[str, type[BaseModel]] = {
    "": Config,
    "model": Model,
    "model.init": Inits,
    "train": Train,
    "probe": Probing,
}
# What stands in the value column where the type alone says too little, or too much.
VALUES = {
    "task": "[task](#tasks)",
    "clip": "[clip](#clips)",
    "penalty": "[penalty](#penalties)",
    "optimizer": "[optimizer](#optimizers)",
    "probe.which": "list of [probes](#probes)",
    "probe.schedule": "[schedule](#schedules)",
    "train.stop": "such as `error < 0.01` | null",
    "device": "auto | cpu | cuda | cuda:N",
    "seed": "integer >= 0",
    **{f"model.init.{key}": "[initializer](#initializers)" for key in Inits.model_fields if key != "preset"},
}


def page() -> str:
    """The whole page."""
    listed = _listed()
    blocks = [HEAD, *_sections(), *(block for kind in INTRODUCED for block in _table(kind, listed[kind]))]
    return "\n".join(blocks)


def _listed() -> dict[str, list[dict[str, Any]]]:
    """What `rnnlab list --json` prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        list_parts(None, as_json=True)
    return json.loads(printed.getvalue())  # type: ignore[no-any-return]


def _sections() -> Iterator[str]:
    yield "## Keys\n"
    for prefix, section in SECTIONS.items():
        if prefix:
            yield f"### `{prefix}`\n"
            yield _prose(section) + "\n"
        yield _rows(("key", "value", "default", "meaning"), _keys(prefix, section))


def _keys(prefix: str, section: type[BaseModel]) -> Iterator[Sequence[str]]:
    schema = section.model_json_schema()
    mapping = next((one for one in schema.get("anyOf", ()) if "properties" in one), schema)
    for key, of in mapping["properties"].items():
        full = f"{prefix}.{key}" if prefix else key
        if full in SECTIONS:
            value, default = f"[`{full}`](#{full.replace('.', '')})", ""
        else:
            value = VALUES.get(full) or type_text(of, schema)
            default = _code(_default(of["default"])) if "default" in of else "needed"
        yield f"`{key}`", value, default, section.model_fields[key].description or ""


def _default(value: Any) -> str:
    """A default in short: a part by its name, where its options have theirs."""
    if isinstance(value, Mapping) and "name" in value:
        return str(value["name"])
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value)


def _table(kind: str, listed: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    title, where = INTRODUCED[kind]
    parts = table_of(kind)
    yield f"## {title}\n"
    yield where + "\n"
    for part in listed:
        yield f"### `{part['name']}`\n"
        yield _prose(parts[part["name"]]) + "\n"
        if "places" in part:
            yield f"For {', '.join(f'`{place}`' for place in part['places'])}.\n"
        if part["options"]:
            yield _rows(("option", "value", "default", "meaning"), map(_option, part["options"]))
        if part["source"]:
            yield f"Source: {_linked(part['source'])}.\n"
    if kind == "inits":
        yield from _presets()


def records() -> str:
    """docs/RECORDS.md, with what the probes measure between its marks."""
    before, _, rest = RECORDS.read_text(encoding="utf-8").partition(MARKS[0])
    return before + MARKS[0] + "\n" + "\n".join(_measured()) + "\n" + MARKS[1] + rest.partition(MARKS[1])[2]


def _measured() -> Iterator[str]:
    """What each probe measures that is not one of the default."""
    for name, probe in PROBES.items():
        if probe in DEFAULT_PROBES:
            continue
        yield f"### `{name}`\n"
        yield _prose(probe) + "\n"
        for columns, place in ((probe.columns, "metrics.csv"), (probe.table, f"probes.csv, `at`: {probe.at}")):
            if columns:
                yield _rows((f"{place}", "unit", "formula", "meaning"), map(_column, columns))
        yield f"Source: {_linked(probe.source)}.\n"


def _column(column: Column) -> Sequence[str]:
    return f"`{column.name}`", column.unit, _code(column.formula) if column.formula else "", column.meaning


def _option(option: Mapping[str, Any]) -> Sequence[str]:
    default = "needed" if option["required"] else _code(_default(option.get("default")))
    meaning = option["description"]
    return (
        f"`{option['name']}`",
        option["type"],
        default,
        "where the loss is (above)" if meaning == LOSS_HELP else meaning,
    )


def _presets() -> Iterator[str]:
    yield "### Presets\n"
    yield (
        "`model.init: torch` is what torch.nn.RNN, LSTM, GRU and Linear do, `model.init: keras` what Keras's layers of "
        "those names and Dense do. `init: {preset: keras, recurrent: {gain: 2}}` takes one and changes it.\n"
    )
    rows = [(f"`{key}`", *(_code(_flow(preset[key])) for preset in PRESETS.values())) for key in PRESETS["torch"]]
    yield _rows(("key", *(f"`{name}`" for name in PRESETS)), rows)


def _flow(part: Mapping[str, Any]) -> str:
    options = ", ".join(f"{key}: {value}" for key, value in part.items())
    return "{" + options + "}" if len(part) > 1 else str(part["name"])


def _prose(described: type) -> str:
    """A docstring as Markdown, without its example."""
    return _starred(text_of(described))


def _starred(text: str) -> str:
    """Outside code a star is a star, and begins no emphasis."""
    return re.sub(r"(`[^`]*`)|\*", lambda found: found[1] or r"\*", text)


def _linked(source: str) -> str:
    """A source with a link at each DOI and each number of arXiv; of addresses Markdown makes links itself."""
    source = re.sub(r"(doi:)([^\s;]*[^\s;,])", r"[\1\2](https://doi.org/\2)", source)
    source = re.sub(r"(arXiv:)([\w./-]*\w)", r"[\1\2](https://arxiv.org/abs/\2)", source)
    return re.sub(r"https://(?!doi\.org|arxiv\.org)[^\s;]*[^\s;,]", r"<\g<0>>", source)


def _code(text: str) -> str:
    return f"`{text}`"


def _rows(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join("| " + " | ".join(_starred(cell).replace("|", r"\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    RECORDS.write_text(records(), encoding="utf-8")
