"""A sweep file, from YAML to runs.

distributions    the distributions of random axes
size             how many combinations there are
naming           readable names for runs
reader           a sweep file, part by part
load             from the file to its runs, with every combination checked
narrowing        some of its runs
jsonschema       the JSON Schema, for editors
"""

from rnnlab.sweeps.file.jsonschema import sweep_schema
from rnnlab.sweeps.file.load import Member, Sweep, load_sweep
from rnnlab.sweeps.file.narrowing import narrowed

__all__ = ["Member", "Sweep", "load_sweep", "narrowed", "sweep_schema"]
