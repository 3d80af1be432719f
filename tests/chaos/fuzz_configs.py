"""Configs, sweep files, `--set`s and `--where`s that nobody wrote: each is right, or refused at its place.

Half of them are mutations of the files in configs/, half are built from the keys and parts that there are.
"""

from __future__ import annotations

import random
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from chaos.mutations import VALUES, mutated
from shipped import CONFIGS, SWEEPS

from rnnlab.catalog import tables
from rnnlab.compare.conditions import condition
from rnnlab.config import Config, known_keys, load_config
from rnnlab.config.keys import axis_keys
from rnnlab.errors import ConfigError, RnnlabError, UsageError
from rnnlab.sweeps.file import load_sweep
from rnnlab.training.loop import train

SECONDS, MEMORY = 2.0, 500 * 2**20
FACTS: dict[str, Any] = {"seed": 3, "model.cell": "lstm", "task.length": 100, "clip": None, "probe.which": ["adjoint"]}
# A run of two updates, whatever else the config says.
TINY = ("train.updates=2", "train.batch=2", "train.evaluate_size=4", "model.layers=1", "model.hidden=3", "device=cpu")
SHORT = ("task.length=12", "task.gap=12")

Case = tuple[str, Callable[[], Any]]


def run(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """So many cases, and of the valid configs one in a hundred cases trained for two updates; the figures."""
    draw, outcomes = random.Random(seed), Counter[str]()
    slowest, memory, before = 0.0, 0, _resident()
    valid: list[Config] = []
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        path = Path(folder, "case.yaml")
        for number in range(count):
            kind, case = _case(draw, path)
            begun = time.process_time()  # beside other work the clock on the wall says nothing
            outcome, given = _outcome(kind, case, path)
            taken = time.process_time() - begun
            slowest, memory = max(slowest, taken), max(memory, _resident() - before)
            assert taken < SECONDS, f"case {number}, {kind}: {taken:.1f} s for {_shown(kind, path, given)}"
            assert memory < MEMORY, f"case {number}, {kind}: {memory:,} bytes for {_shown(kind, path, given)}"
            outcomes[f"{kind}, {outcome}"] += 1
            if isinstance(given, Config) and len(valid) <= count // 100:
                valid.append(given)
        outcomes.update(f"trained for two updates, {_trained(config, Path(folder))}" for config in valid)
    figures = [(what, f"{number:,}") for what, number in sorted(outcomes.items())]
    return [*figures, ("slowest", f"{slowest:.2f} s"), ("memory more at most", f"{memory / 2**20:,.0f} MiB")]


def _case(draw: random.Random, path: Path) -> tuple[str, Callable[[], Any]]:
    """A kind of input, and what reads it."""
    kind = draw.choices(("config", "sweep", "--set", "--where"), (5, 2, 3, 1))[0]
    if kind == "--where":
        text = _where(draw)
        path.write_text(text, errors="backslashreplace")
        return kind, lambda: condition(text).holds(FACTS)
    if kind == "--set":
        sets = [_set(draw) for _ in range(draw.randint(1, 3))]
        path.write_text("\n".join(sets), errors="backslashreplace")
        return kind, lambda: load_config({"task": "addition"}, sets)
    path.write_bytes(_file(draw, sweep=kind == "sweep"))
    return kind, lambda: (load_sweep if kind == "sweep" else load_config)(path)


def _file(draw: random.Random, *, sweep: bool) -> bytes:
    if draw.random() < 0.5:
        return mutated(draw.choice(SWEEPS if sweep else CONFIGS).read_bytes(), draw)
    settings = _settings(draw)
    if sweep:
        axes = {draw.choice([*axis_keys()]): [_value(draw) for _ in range(draw.randint(1, 3))] for _ in range(2)}
        kind = draw.choice(("grid", "zip", "random"))
        settings = {"base": settings, "axes": {kind: axes}, "seeds": draw.choice((1, 3, _value(draw)))}
    return yaml.safe_dump(settings, allow_unicode=True).encode(errors="surrogatepass")


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


def _set(draw: random.Random) -> str:
    key = draw.choice([*known_keys(), "", "=", "model..cell", "seed.seed", "\x1b[31m", "a" * 10_000])
    value = str(_value(draw)) if draw.random() < 0.9 else mutated(b"{name: norm, threshold: 1}", draw).decode("latin1")
    return draw.choice((f"{key}={value}", f"{key}={value}", key, f"{key}={{{value}", f"{key}=[{value}]"))


def _where(draw: random.Random) -> str:
    key = draw.choice([*FACTS, "name", "nothing", "", "seed seed"])
    return f"{key}{draw.choice(('=', '!=', '<', '>=', '==', '=>', ''))}{_value(draw)}"


def _outcome(kind: str, case: Callable[[], Any], path: Path) -> tuple[str, Any]:
    """Valid, with what it gave, or refused, with the words of the refusal."""
    try:
        return "valid", case()
    except BaseException as raised:
        error = raised
    shown = _shown(kind, path, repr(error))
    assert isinstance(error, UsageError if kind == "--where" else ConfigError), shown
    assert 0 < len(str(error)) < 50_000, shown
    assert "\x1b" not in str(error), shown
    if isinstance(error, ConfigError):
        # What is wrong with a mapping as a whole has no place of its own.
        assert all(problem.place or problem.key for problem in error.problems) or kind == "--set", shown
    return "refused", error


def _trained(config: Config, folder: Path) -> str:
    """What becomes of a valid config in two updates of a tiny network."""
    try:
        tiny = load_config(config, [*TINY, "name=tiny"])
        for setting in SHORT:
            try:
                tiny = load_config(tiny, [setting])
            except ConfigError:
                continue
        return train(tiny, out=folder / "runs", force=True).status
    except RnnlabError as error:
        return f"refused ({type(error).__name__})"


def _shown(kind: str, path: Path, what: Any) -> str:
    return f"{kind}: {path.read_bytes()[:2000]!r}: {str(what)[:1000]}"


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
