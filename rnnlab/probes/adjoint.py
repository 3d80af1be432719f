"""The probe `adjoint`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from rnnlab.probes.base import Probe, View

if TYPE_CHECKING:
    from rnnlab.config import Config
    from rnnlab.gradients.readings import Curve


class Adjoint(Probe):
    """The total gradient dL/dh_t (and dL/dc_t) at every timestep of every layer, to gradients.csv.

    norm = ||dL/dh_t||_F over [B, H], of the batch-mean loss; percentiles over the batch of B ||dL/dh_t[b]||.

    >>> from rnnlab.config import load_config
    >>> config = load_config({"task": {"name": "addition", "length": 50}, "model": {"cell": "lstm", "layers": 2}})
    >>> Adjoint().gradient_rows(config)  # 50 timesteps, 2 states, 2 layers
    200
    """

    source: ClassVar[str] = (
        "Bengio, Simard and Frasconi, Learning long-term dependencies with gradient descent is difficult, 1994, "
        "doi:10.1109/72.279181"
    )
    also_nonfinite: ClassVar[bool] = True

    name: Literal["adjoint"] = "adjoint"

    def rows(self, view: View) -> Sequence[Sequence[Curve]]:
        return view.curves()

    def gradient_rows(self, config: Config) -> int:
        states = len(config.model.build_cell().states)
        clipped = config.clip.in_scan() is not None
        if clipped or config.train.detach:
            # The states of the loss alone, and with the clip the gradient of the pre-activations before it and after.
            states = 2 * states + 2 * clipped
        return math.ceil(config.task.timesteps / config.probe.stride) * states * config.model.layers
