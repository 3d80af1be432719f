"""What a sweep is, from YAML to its runs."""

from rnnlab.sweeps.editor import sweep_schema
from rnnlab.sweeps.load import Member, Sweep, load_sweep

__all__ = ["Member", "Sweep", "load_sweep", "sweep_schema"]
