"""Configs and sweeps drawn from the JSON Schema that editors get: every key and part that there is."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

from chaos.mutations import VALUES

from rnnlab.config import json_schema
from rnnlab.config.facts import NO_IDENTITY
from rnnlab.sweeps.file.distributions import EXAMPLES

Schema = Mapping[str, Any]
SEEDS = (1, 2, 3, [0, 7], 300, *(value for value in VALUES if value != "1e5"))
"""Of which a sweep has not so many that reading it takes long."""
_TEXTS = ("error < 0.01", "loss<=1e-3", "run-1", "a.csv", "notes: of any kind", "3", "true", "~")


class Grammar:
    """Draws configs and sweeps. `wrong` is the share of values of another kind.

    >>> import random
    >>> config = Grammar(random.Random(3)).config(wrong=0)
    >>> "task" in config
    True
    """

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._schema = json_schema()
        self._wrong = 0.0

    def config(self, wrong: float | None = None) -> dict[str, Any]:
        """A config; most are valid, and some have a value of another kind, or many."""
        self._wrong = self._draw.choice((0, 0, 0.01, 0.1)) if wrong is None else wrong
        drawn: dict[str, Any] = self._object(self._schema)
        return drawn

    def settings(self) -> dict[str, Any]:
        """Dotted keys of a config, with their values."""
        return dict(_leaves(self.config(), ""))

    def sweep(self) -> dict[str, Any]:
        """A sweep of a few runs, or of some hundreds."""
        base = self.config() if self._draw.random() < 0.5 else {"task": "addition"}
        kinds = self._draw.sample(("grid", "zip", "random", "list"), self._draw.randint(0, 2))
        seeds = self._draw.choice(self._draw.choice((SEEDS[:4], SEEDS)))
        return {"base": base, **({"axes": {kind: self._axes(kind) for kind in kinds}} if kinds else {}), "seeds": seeds}

    def _axes(self, kind: str) -> Any:
        settings = [self.settings() for _ in range(2)]
        keys = [key for key in settings[0] if key not in NO_IDENTITY or self._draw.random() < 0.02]
        chosen = self._draw.sample(keys, min(len(keys), self._draw.randint(1, 2)))
        values = {key: [one[key] for one in settings if key in one] for key in chosen}
        if kind == "list":
            return [{key: one.get(key) for key in chosen} for one in settings]
        if kind == "random":
            return {"samples": self._draw.randint(1, 4), **{key: self._distribution(values[key]) for key in chosen}}
        return values

    def _distribution(self, values: list[Any]) -> Any:
        name = self._draw.choice([*EXAMPLES])
        numbers = sorted(self._draw.choice((0.1, 0.9, 1, 3, 20, 1e-300)) for _ in range(2))
        return {name: values if name == "choice" else numbers}

    def _value(self, schema: Schema) -> Any:
        draw = self._draw
        if draw.random() < self._wrong:
            return draw.choice(VALUES)
        if "default" in schema and draw.random() < 0.2:
            return schema["default"]
        if "$ref" in schema:
            return self._value(self._schema["$defs"][schema["$ref"].rpartition("/")[2]])
        if "anyOf" in schema:
            return self._value(draw.choice(schema["anyOf"]))
        if "enum" in schema or "const" in schema:
            return draw.choice(schema.get("enum") or [schema.get("const")])
        return getattr(self, f"_{schema.get('type', 'null')}")(schema)

    def _object(self, schema: Schema) -> dict[str, Any]:
        share, needed = self._draw.choice((0.1, 0.4)), schema.get("required", ())
        chosen = {
            key: inner
            for key, inner in schema["properties"].items()
            if key in needed or "const" in inner or self._draw.random() < share
        }
        return {key: self._value(inner) for key, inner in chosen.items()}

    def _array(self, schema: Schema) -> list[Any]:
        return [self._value(schema["items"]) for _ in range(self._draw.randint(schema.get("minItems", 0), 4))]

    def _integer(self, schema: Schema) -> int:
        low = schema.get("minimum", math.floor(schema.get("exclusiveMinimum", -10)) + 1)
        high = schema.get("maximum", math.ceil(schema.get("exclusiveMaximum", 10**9 + 1)) - 1)
        drawn = self._draw.choice((low, low + 1, self._draw.randint(1, 30), self._draw.randint(1, 2000), high))
        return int(min(max(drawn, low), high))

    def _number(self, schema: Schema) -> float:
        low = schema.get("exclusiveMinimum", schema.get("minimum", -9))
        high = schema.get("exclusiveMaximum", schema.get("maximum", 1e9))
        drawn = self._draw.choice((low, high, self._draw.random(), 10 ** self._draw.uniform(-9, 2), 1))
        return float(min(max(drawn, low), high))

    def _string(self, schema: Schema) -> str:
        return self._draw.choice(("auto", "cpu", "cuda", "cuda:3") if "pattern" in schema else _TEXTS)

    def _boolean(self, _: Schema) -> bool:
        return self._draw.random() < 0.5

    def _null(self, _: Schema) -> None:
        return None


def _leaves(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Each key with its value; a part also as a whole."""
    for key, inner in value.items():
        yield f"{prefix}{key}", inner
        if isinstance(inner, dict):
            yield from _leaves(inner, f"{prefix}{key}.")
