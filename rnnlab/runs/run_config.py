"""The config.yaml of a run, read back as plain settings, whatever stands in it.

It is not validated: the settings of an older version, or of a part that is not installed here, can still be compared.
What every reader relies on is checked: a mapping of words to values of JSON, sections that are mappings, a seed.
"""

from __future__ import annotations

from typing import Any

from rnnlab.errors import ConfigError, RunFolderError
from rnnlab.regular import read_regular
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.seals import REMEDY, Seal
from rnnlab.wording import shortened

_PARTS = ("task", "clip", "penalty", "optimizer")
"""Sections that may also be the bare name of a part."""
_SECTIONS = ("model", "train", "probe")
_PLAIN = (str, float, bool, type(None))
_DEEPEST, _MOST = 50, 1 << 64
_TEXTS = ("name", "notes", "device", "dtype")


def read_config(run: RunFolder) -> dict[str, Any]:
    """The resolved config of a run. Raises RunFolderError."""
    # Imported here: with the cache, most commands read no YAML.
    from rnnlab.config.yaml_tree import MOST_BYTES

    try:
        raw = read_regular(run.config, MOST_BYTES)
        if (seal := run.seal_of(run.config)) is not None:
            seal.check(run.config, Seal.of(raw), "run.json", REMEDY)
        config = _parsed(raw, str(run.config))
    except OSError as error:
        if isinstance(error, FileNotFoundError) and (unwritten := run.why_unwritten(run.config)):
            raise RunFolderError(unwritten) from error
        raise RunFolderError(f"{run.config} cannot be read: {error.strerror or error}") from error
    except RunFolderError:
        raise
    except ConfigError as error:
        raise RunFolderError(f"{run.config} cannot be read: {error.problems[0]}") from error
    except Exception as error:  # PyYAML raises whatever its constructors of dates and numbers trip over
        # A KeyError's text is the key alone.
        reason = f"KeyError: {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise RunFolderError(f"{run.config} cannot be read: {shortened(reason, 300)}") from error
    if fault := fault_of_config(config) or _fault(config, ""):
        raise RunFolderError(f"{run.config} cannot be read: {fault}")
    settings: dict[str, Any] = config
    return settings


def _parsed(raw: bytes, name: str) -> Any:
    """The value of a YAML text."""
    import yaml

    from rnnlab.config.yaml_tree import parse

    # What rnnlab writes has no anchors. An alias may stand for what it is in, or for a thousand others: `parse` counts.
    if b"&" in raw or b"*" in raw:
        tree, problems = parse(str(raw, "utf-8-sig"), name)
        if problems:
            raise ConfigError(problems)
        return tree.plain()
    # The C parser is ten times as fast, where PyYAML was built with it.
    return yaml.load(raw, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def fault_of_config(config: Any) -> str | None:
    """What is wrong with the sections of a config, which is of the types of JSON; None if nothing is.

    >>> fault_of_config({"task": {"name": "copy"}, "model": {"cell": "lstm"}, "seed": 3})
    >>> fault_of_config({"task": 3})
    'task must be a mapping or a name, not 3'
    """
    if not isinstance(config, dict):
        return "it is not a mapping"
    for keys, types, words in (
        (_PARTS, (dict, str), "a mapping or a name"),
        (_SECTIONS, (dict,), "a mapping"),
        (_TEXTS, (str,), "text"),
        (("seed",), (int,), "a whole number"),
    ):
        for key in keys:
            value = config.get(key)
            if value is not None and (not isinstance(value, types) or isinstance(value, bool)):
                return f"{key} must be {words}, not {shortened(repr(value))}"
    return _fault_of_stop((config.get("train") or {}).get("stop"))


def _fault_of_stop(stop: Any) -> str | None:
    if stop is None:
        return None
    if not isinstance(stop, str):
        return f"train.stop must be text, not {shortened(repr(stop))}"
    from rnnlab.config.stop import stop_rule

    try:
        stop_rule(stop)
    except ValueError as error:
        return f"train.stop: {error}"
    return None


def _fault(value: Any, key: str, depth: int = 0) -> str | None:
    """What JSON does not have, what is nested too deep, and numbers beyond what is counted with."""
    if value is None or isinstance(value, str | bool | float):
        return None
    if isinstance(value, int):
        return None if abs(value) < _MOST else f"{shortened(key)} is a number of {value.bit_length():,} bits"
    if depth > _DEEPEST:
        return f"it is nested more than {_DEEPEST} deep"
    if isinstance(value, list):
        return next(filter(None, (_fault(inner, key, depth + 1) for inner in value)), None)
    if not isinstance(value, dict):
        return f"{shortened(key)} must be a value of JSON, not {shortened(repr(value))}"
    for name, inner in value.items():
        if not isinstance(name, str):
            return f"a key must be text, not {shortened(repr(name))}"
        # Most values are plain; the path is not built for them.
        if type(inner) not in _PLAIN and (fault := _fault(inner, f"{key}.{name}" if key else name, depth + 1)):
            return fault
    return None
