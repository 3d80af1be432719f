"""What is measured while a network trains, and at which updates.

base          what a probe is, and what it sees
schedules     at which updates
adjoint       the total gradient at every timestep
spectrum      spectral radius and norm of the recurrent weights
saturation    the share of gate activations whose slope is nearly gone
weights       size of the weights and of their change
"""

from rnnlab.parts import Table, table
from rnnlab.probes.adjoint import Adjoint
from rnnlab.probes.base import Figures, Probe, View
from rnnlab.probes.saturation import Saturation
from rnnlab.probes.schedules import SCHEDULES, At, Every, Log, Schedule, as_schedule
from rnnlab.probes.spectrum import Spectrum
from rnnlab.probes.weights import Weights

PROBES: Table[Probe] = table(Adjoint, Spectrum, Saturation, Weights)
OWN_PROBES: tuple[type[Probe], ...] = tuple(PROBES.values())
"""rnnlab's own, whatever is added: files and identities of runs without other probes depend on these alone."""

__all__ = [
    "OWN_PROBES",
    "PROBES",
    "SCHEDULES",
    "Adjoint",
    "At",
    "Every",
    "Figures",
    "Log",
    "Probe",
    "Saturation",
    "Schedule",
    "Spectrum",
    "View",
    "Weights",
    "as_schedule",
]
