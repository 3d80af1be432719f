"""Configs, sweep files, `--set`s and `--where`s that nobody wrote.

Half of the files are mutations of those in configs/, the others are built from the keys, parts and JSON Schema that
there are; a few are as large as a file may be.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from chaos.grammar import SEEDS, Grammar
from chaos.mutations import VALUES, mutated
from shipped import CONFIGS, SWEEPS

from rnnlab.catalog import tables
from rnnlab.compare.conditions import condition
from rnnlab.config import known_keys, load_config
from rnnlab.sweeps.file import load_sweep

FACTS: dict[str, Any] = {"seed": 3, "model.cell": "lstm", "task.length": 100, "clip": None, "probe.which": ["adjoint"]}
BASE = {"task": "addition"}
_KINDS = {"config": 50, "sweep": 20, "--set": 30, "--where": 10}
_LARGE = 0.0005
"""The share of files that are as large as a file may be; each takes about a second."""


class Given(NamedTuple):
    """One input: its kind, its texts, and what reads it."""

    kind: str
    texts: list[str]
    read: Callable[[], Any]


def given(draw: random.Random, grammar: Grammar, path: Path) -> Given:
    """An input of any kind; a file is written to the path."""
    (kind,) = draw.choices([*_KINDS], [*_KINDS.values()])
    if kind == "--where":
        text = _where(draw, grammar)
        return Given(kind, [text], lambda: condition(text).holds(FACTS))
    if kind == "--set":
        sets = _sets(draw, grammar)
        return Given(kind, sets, lambda: load_config(BASE, sets))
    load = load_sweep if kind == "sweep" else load_config
    path.write_bytes(_large(draw) if draw.random() < _LARGE else _file(draw, grammar, sweep=kind == "sweep"))
    return Given(kind, [str(path)], lambda: load(path))


def _file(draw: random.Random, grammar: Grammar, *, sweep: bool) -> bytes:
    if (share := draw.random()) < 0.5:
        return mutated(draw.choice(SWEEPS if sweep else CONFIGS).read_bytes(), draw)
    if share < 0.65:
        settings = _settings(draw)
        content = {"base": settings, "seeds": draw.choice(SEEDS)} if sweep else settings
    else:
        content = grammar.sweep() if sweep else grammar.config()
    text = yaml.safe_dump(content, allow_unicode=True).encode(errors="surrogatepass")
    return mutated(text, draw) if share > 0.95 else text


def _settings(draw: random.Random) -> dict[str, Any]:
    """A config of keys that there are, with names of parts that there are and values of any kind."""
    settings: dict[str, Any] = {"task": draw.choice(["addition", "copy", "temporal_order"])}
    for key in draw.sample([*known_keys()], draw.randint(0, 5)):
        section, _, name = key.partition(".")
        value = _value(draw)
        if not name:
            settings[section] = value
        elif isinstance(settings.setdefault(section, {}), dict):
            settings[section][name] = value
    return settings


def _value(draw: random.Random) -> Any:
    parts = [name for table in tables().values() for name in table]
    return draw.choice((draw.randint(0, 30), draw.random(), draw.choice(parts), draw.choice(VALUES)))


def _large(draw: random.Random) -> bytes:
    """A file near the limits of bytes and values, with as many mistakes as it can hold, or none."""
    many = range(draw.choice((20_000, 45_000, 60_000)))
    key = draw.choice([*known_keys()]).rpartition(".")[2]
    keys = [f"{key}{n}: 1" for n in many]
    values = f"[{','.join([draw.choice(('1', 'a', 'adjoint', '{}', '[]', 'null'))] * (2 * len(many)))}]"
    return draw.choice(
        (
            "task: addition\n" + "\n".join(keys),
            "task: addition\nmodel:\n  " + "\n  ".join(keys),
            f"task: addition\nprobe: {{{draw.choice(('which', 'schedule', 'timesteps'))}: {values}}}\n",
            f"base: {{task: addition}}\naxes: {{grid: {{model.hidden: [a, {values}]}}}}\n",
            "base: {task: addition}\naxes:\n  grid:\n    " + "\n    ".join(f"model.{line}" for line in keys),
            "base: {task: addition}\naxes:\n  list:\n" + "\n".join(f"  - {{{line}}}" for line in keys[:30_000]),
            "base: {task: addition}\nseeds: 5000\n",
            "base: {task: addition}\nseeds: 3\n" + "\n".join(keys),
            f"task: addition\n{key}: " + "x" * 2 ** draw.randint(16, 20),
        )
    ).encode()


def _sets(draw: random.Random, grammar: Grammar) -> list[str]:
    if draw.random() < 0.5:
        return [_set(draw) for _ in range(draw.randint(1, 3))]
    settings = grammar.settings()
    chosen = draw.sample([*settings], min(len(settings), draw.randint(1, 4)))
    return [f"{key}={_written(settings[key])}" for key in chosen]


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _set(draw: random.Random) -> str:
    key = draw.choice([*known_keys(), "", "=", "model..cell", "seed.seed", "\x1b[31m", "a" * 10_000])
    value = str(_value(draw)) if draw.random() < 0.9 else mutated(b"{name: norm, threshold: 1}", draw).decode("latin1")
    return draw.choice((f"{key}={value}", f"{key}={value}", key, f"{key}={{{value}", f"{key}=[{value}]"))


def _where(draw: random.Random, grammar: Grammar) -> str:
    key = draw.choice([*FACTS, *grammar.settings(), "name", "nothing", "", "seed seed"])
    text = f"{key}{draw.choice(('=', '!=', '<', '>=', '==', '=>', '', ' = '))}{_value(draw)}"
    return mutated(text.encode(errors="replace"), draw).decode("latin1") if draw.random() < 0.2 else text
