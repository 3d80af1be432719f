"""Initializers of a gated cell's bias, gate by gate: forget, chrono."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from rnnlab.errors import UsageError
from rnnlab.inits.base import LARGEST, Array, Init


class Forget(Init):
    """Zeros with one value on the forget gate: an LSTM starts by remembering.

    b_f = value, b = 0 for every other gate; all zeros for a cell without a forget gate. With value 1 it is Keras's
    unit_forget_bias (its GRU and its simple RNN have zeros).

    >>> import numpy as np
    >>> Forget().draw_bias(2, ("i", "f", "g", "o"), np.random.default_rng(0))
    array([0., 0., 1., 1., 0., 0., 0., 0.])
    """

    source = (
        "Gers, Schmidhuber and Cummins, Learning to forget, 2000, doi:10.1162/089976600300015015; "
        "Jozefowicz, Zaremba and Sutskever, An empirical exploration of recurrent network architectures, 2015, "
        "https://proceedings.mlr.press/v37/jozefowicz15.html"
    )
    places = ("bias",)

    name: Literal["forget"] = "forget"
    value: float = Field(default=1.0, ge=-LARGEST, le=LARGEST, description="The bias of the forget gate.")

    def draw_bias(
        self, hidden: int, gates: tuple[str, ...], rng: np.random.Generator, *, fan_in: int | None = None
    ) -> Array:
        return np.repeat([self.value if gate == "f" else 0.0 for gate in gates], hidden)


class Chrono(Init):
    """Chrono: the units of a gated cell start with memories of all lengths up to t_max timesteps.

    LSTM: b_f = log u with u ~ U[1, t_max - 1] for each unit, b_i = -b_f, b_g = b_o = 0.
    GRU, h_t = (1 - z) n + z h_{t-1} (torch's z keeps the past, as f does): b_z = log u, b_r = b_n = 0.

    Raises UsageError for a cell that has neither a forget nor an update gate.

    >>> import numpy as np
    >>> b_i, b_f, b_g, b_o = np.split(Chrono(t_max=100).draw_bias(5, ("i", "f", "g", "o"), np.random.default_rng(0)), 4)
    >>> bool((b_i == -b_f).all()), bool((0 <= b_f).all() and (b_f <= np.log(99)).all())
    (True, True)
    """

    source = "Tallec and Ollivier, Can recurrent neural networks warp time?, 2018, arXiv:1804.11188"
    by_gate = True
    places = ("bias",)

    name: Literal["chrono"] = "chrono"
    t_max: int = Field(
        ge=3,
        le=10**9,
        description="The longest dependency expected, in timesteps; often the sequence length.",
        examples=[100],
    )

    def draw_bias(
        self, hidden: int, gates: tuple[str, ...], rng: np.random.Generator, *, fan_in: int | None = None
    ) -> Array:
        if problem := self.conflict(gates):
            raise UsageError(f"init 'chrono': {problem}")
        keep = np.log(rng.uniform(1, self.t_max - 1, hidden))
        by_gate = {"f": keep, "z": keep, "i": -keep}
        return np.concatenate([by_gate.get(gate, np.zeros(hidden)) for gate in gates])

    def conflict(self, gates: tuple[str, ...]) -> str | None:
        if "f" in gates or "z" in gates:
            return None
        return f"needs a forget gate (lstm) or an update gate (gru); this cell has {', '.join(gates)}"
