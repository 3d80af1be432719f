"""One pass of a network: forward, loss, and back to every parameter and every timestep.

Four ways to the same numbers. `fast_pass` is the lab's own from the loss to the first layer, on the compiled scan, and
`triton_pass` the same on CUDA; `general_pass` goes by the cell's definition; `fused_pass` leaves the layers of one
network to torch, and their readings to the compiled scan. Each gives the gradient of each parameter and, for each
layer, `Readings`.
"""

from rnnlab.gradients.autograd_pass import AutogradPass, general_forward, general_pass
from rnnlab.gradients.compiled_pass import CompiledPass, Scratch, fast_forward, fast_pass
from rnnlab.gradients.compiling import prepare_once
from rnnlab.gradients.fused_layers import FusedLayers
from rnnlab.gradients.fused_pass import FusedPass, fused_pass
from rnnlab.gradients.pass_base import Bound, Pass, Prediction, Readings, Sequences
from rnnlab.gradients.triton_pass import TritonPass, triton_forward, triton_pass

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
    "TritonPass",
    "fast_forward",
    "fast_pass",
    "fused_pass",
    "general_forward",
    "general_pass",
    "prepare_once",
    "triton_forward",
    "triton_pass",
]
