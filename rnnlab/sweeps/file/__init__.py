"""What a sweep is, from YAML to its runs.

distributions    what a random axis is drawn from
naming           readable names for the runs
reader           a sweep file, part by part
load             every combination checked: from the file to its runs
jsonschema       the JSON Schema, for editors
"""

from rnnlab.sweeps.file.jsonschema import sweep_schema
from rnnlab.sweeps.file.load import Member, Sweep, load_sweep

__all__ = ["Member", "Sweep", "load_sweep", "sweep_schema"]
