"""One pass of a network: forward, loss, and back to every parameter and every timestep.

Two ways to the same numbers. `fast_pass` is the lab's own from the loss to the first layer, on the compiled scan;
`general_pass` gives everything to autograd. Both give the gradient of each parameter and, for each layer, `Readings`.
"""

from rnnlab.gradients.autograd_pass import AutogradPass, general_forward, general_pass
from rnnlab.gradients.compiled_pass import CompiledPass, Scratch, fast_forward, fast_pass, prepare
from rnnlab.gradients.pass_base import Bound, Pass, Prediction, Readings, Sequences

__all__ = [
    "AutogradPass",
    "Bound",
    "CompiledPass",
    "Pass",
    "Prediction",
    "Readings",
    "Scratch",
    "Sequences",
    "fast_forward",
    "fast_pass",
    "general_forward",
    "general_pass",
    "prepare",
]
