"""What is measured while a network trains, and at which updates.

base          what a probe is, and what it sees
schedules     at which updates
adjoint       the total gradient at every timestep
spectrum      spectral radius and norm of the recurrent weights
saturation    the share of gate activations whose slope is nearly gone
jacobian      singular values of dh_T/dh_t
lyapunov      Lyapunov exponents of the driven state map
weights       size of the weights and of their change
"""

from rnnlab.parts import Table, table
from rnnlab.probes.adjoint import Adjoint
from rnnlab.probes.base import Figures, Measured, Probe, TableRows, View
from rnnlab.probes.jacobian import Jacobian
from rnnlab.probes.lyapunov import Lyapunov
from rnnlab.probes.saturation import Saturation
from rnnlab.probes.schedules import SCHEDULES, At, Every, Log, Schedule, as_schedule
from rnnlab.probes.spectrum import Spectrum
from rnnlab.probes.weights import Weights

DEFAULT_PROBES: tuple[type[Probe], ...] = (Adjoint, Spectrum, Saturation, Weights)
"""Those of a config that names none. Files and identities of runs without other probes depend on these alone."""
PROBES: Table[Probe] = table(*DEFAULT_PROBES, Jacobian, Lyapunov)

__all__ = [
    "DEFAULT_PROBES",
    "PROBES",
    "SCHEDULES",
    "Adjoint",
    "At",
    "Every",
    "Figures",
    "Jacobian",
    "Log",
    "Lyapunov",
    "Measured",
    "Probe",
    "Saturation",
    "Schedule",
    "Spectrum",
    "TableRows",
    "View",
    "Weights",
    "as_schedule",
]
