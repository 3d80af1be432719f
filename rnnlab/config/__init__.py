"""What a run is, from YAML to a checked Config and back."""

from rnnlab.config.editor import json_schema
from rnnlab.config.keys import known_keys
from rnnlab.config.load import load_config
from rnnlab.config.misfits import Conflict, conflicts
from rnnlab.config.schema import Config
from rnnlab.config.settings import Setting
from rnnlab.config.starter import starter
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
