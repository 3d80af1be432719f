"""What is measured while a network trains, and at which updates.

summary_lines  what a run's summary says of a probe
charts        what a report draws of a probe
base          what a probe is, and what it sees
schedules     at which updates
adjoint       the total gradient at every timestep
spectrum      spectral radius and norm of the recurrent weights
saturation    the share of gate activations whose slope is nearly gone
omega         how far the adjoint is from keeping its norm
recurrent_weights  the recurrent matrices of each gate, and Omega
gates         activations of each gate, and forget-gate time scales
sensitivity   how much states hang on parameters
paths         what comes along the forget gates alone
contributions  what each timestep adds to dL/dW_hh
directions    whether gradients point one way: over samples, timesteps and batches; their noise
jacobian      singular values of dh_T/dh_t
lyapunov      Lyapunov exponents of the driven state map
closed_forms  the slopes that closed forms give
weights       size of the weights and of their change
"""

from rnnlab.parts import Table, table
from rnnlab.probes.adjoint import Adjoint
from rnnlab.probes.base import Figures, Measured, Probe, TableRows, View, one_thread
from rnnlab.probes.charts import Chart
from rnnlab.probes.closed_forms import Theory
from rnnlab.probes.contributions import Contributions
from rnnlab.probes.directions import Directions
from rnnlab.probes.gates import Gates
from rnnlab.probes.jacobian import Jacobian
from rnnlab.probes.lyapunov import Lyapunov
from rnnlab.probes.paths import Paths
from rnnlab.probes.recurrent_weights import RecurrentWeights
from rnnlab.probes.saturation import Saturation
from rnnlab.probes.schedules import SCHEDULES, At, Every, Log, Schedule, as_schedule
from rnnlab.probes.sensitivity import Sensitivity
from rnnlab.probes.spectrum import Spectrum
from rnnlab.probes.summary_lines import Series, SummaryLine
from rnnlab.probes.weights import Weights

DEFAULT_PROBES: tuple[type[Probe], ...] = (Adjoint, Spectrum, Saturation, Weights)
"""Those of a config that names none. Files and identities of runs without other probes depend on these alone."""
PROBES: Table[Probe] = table(
    *DEFAULT_PROBES, RecurrentWeights, Gates, Jacobian, Lyapunov, Sensitivity, Paths, Contributions, Directions, Theory
)

__all__ = [
    "DEFAULT_PROBES",
    "PROBES",
    "SCHEDULES",
    "Adjoint",
    "At",
    "Chart",
    "Contributions",
    "Directions",
    "Every",
    "Figures",
    "Gates",
    "Jacobian",
    "Log",
    "Lyapunov",
    "Measured",
    "Paths",
    "Probe",
    "RecurrentWeights",
    "Saturation",
    "Schedule",
    "Sensitivity",
    "Series",
    "Spectrum",
    "SummaryLine",
    "TableRows",
    "Theory",
    "View",
    "Weights",
    "as_schedule",
    "one_thread",
]
