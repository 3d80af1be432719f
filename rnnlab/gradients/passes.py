"""One pass of a network: forward, loss, and back to every parameter and every timestep.

Three ways to the same numbers. `fast_pass` is the lab's own from the loss to the first layer, on the compiled scan;
`general_pass` goes by the cell's definition; `fused_pass` leaves the layers of one network to torch, and their readings
to the compiled scan. Each gives the gradient of each parameter and, for each layer, `Readings`.
"""

from rnnlab.gradients.autograd_pass import AutogradPass, general_forward, general_pass
from rnnlab.gradients.compiled_pass import CompiledPass, Scratch, fast_forward, fast_pass
from rnnlab.gradients.fused_layers import FusedLayers
from rnnlab.gradients.fused_pass import FusedPass, fused_pass
from rnnlab.gradients.pass_base import Bound, Pass, Prediction, Readings, Sequences

__all__ = [
    "AutogradPass",
    "Bound",
    "CompiledPass",
    "FusedLayers",
    "FusedPass",
    "Pass",
    "Prediction",
    "Readings",
    "Scratch",
    "Sequences",
    "fast_forward",
    "fast_pass",
    "fused_pass",
    "general_forward",
    "general_pass",
]
