"""What a run is, from YAML to a checked Config and back.

Only `facts`, `scalars` and `tree` are light; what needs the models is imported when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Imported at once: the module has the function's name, and would take its place when it is imported later.
from rnnlab.config.starter import starter

if TYPE_CHECKING:
    from rnnlab.config.editor import json_schema
    from rnnlab.config.keys import known_keys
    from rnnlab.config.load import load_config
    from rnnlab.config.misfits import Conflict, conflicts
    from rnnlab.config.schema import Config
    from rnnlab.config.settings import Setting
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
    "Conflict": "rnnlab.config.misfits",
    "Setting": "rnnlab.config.settings",
    "StopRule": "rnnlab.config.stop",
    "conflicts": "rnnlab.config.misfits",
    "json_schema": "rnnlab.config.editor",
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
