"""What a sweep is, from YAML to its runs."""

from rnnlab.sweeps.load import Member, Sweep, load_sweep

__all__ = ["Member", "Sweep", "load_sweep"]
