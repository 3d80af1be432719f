"""What is measured, and at which updates."""

from rnnlab.parts import Table, table
from rnnlab.probes.adjoint import Adjoint
from rnnlab.probes.base import Figures, Probe, View
from rnnlab.probes.saturation import Saturation
from rnnlab.probes.schedules import SCHEDULES, At, Every, Log, Schedule, as_schedule
from rnnlab.probes.spectrum import Spectrum
from rnnlab.probes.weights import Weights

PROBES: Table[Probe] = table(Adjoint, Spectrum, Saturation, Weights)

__all__ = [
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
