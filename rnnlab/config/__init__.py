"""What a run is, from YAML to a checked Config and back.

yaml_scalars    what a plain word in YAML means
yaml_tree       a YAML text as a tree that knows where its keys stand
stop            the stop rule
facts           what is true of a key besides its value
cell_options    the options of cells as keys of `model`
sections        `model`, `train` and `probe`
checks          settings that are right alone and wrong together
schema          Config: everything that says what a run is
shape           what runs must share to train together
keys            which keys there are, and what each is for
messages        what pydantic found wrong, in plain words
overrides       settings laid over a config: --set
mappings        a config given as a Python mapping
shipped         the configs that ship
load            from a file, a mapping or stdin to a Config
jsonschema      the JSON Schema, for editors
starter         a config to start from
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Imported at once: the module has the function's name, and would take its place when it is imported later.
from rnnlab.config.starter import starter

if TYPE_CHECKING:
    from rnnlab.config.checks import Conflict, conflicts
    from rnnlab.config.jsonschema import json_schema
    from rnnlab.config.keys import known_keys
    from rnnlab.config.load import load_config
    from rnnlab.config.overrides import Setting
    from rnnlab.config.schema import Config
    from rnnlab.config.stop import StopRule, stop_rule

__all__ = [
    "Config",
    "Conflict",
    "Setting",
    "StopRule",
    "conflicts",
    "json_schema",
    "known_keys",
    "load_config",
    "starter",
    "stop_rule",
]

_HOMES = {
    "Config": "rnnlab.config.schema",
    "Conflict": "rnnlab.config.checks",
    "Setting": "rnnlab.config.overrides",
    "StopRule": "rnnlab.config.stop",
    "conflicts": "rnnlab.config.checks",
    "json_schema": "rnnlab.config.jsonschema",
    "known_keys": "rnnlab.config.keys",
    "load_config": "rnnlab.config.load",
    "stop_rule": "rnnlab.config.stop",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rnnlab.config' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
