"""Initializers that treat every number alike, in weights and biases: normal, uniform, zeros, constant."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from rnnlab.errors import UsageError
from rnnlab.inits.base import BIASES, LARGEST, WEIGHTS, Array, Init, WeightInit


class Normal(WeightInit):
    """Independent normal numbers.

    W ~ N(mean, std^2). The default std is that of Pascanu's "basic tanh" (Pascanu, Mikolov, Bengio 2013).

    >>> import numpy as np
    >>> W = Normal(std=0.5).draw(100, 100, ("h",), np.random.default_rng(0))
    >>> W.shape, round(float(W.std()), 1)
    ((100, 100), 0.5)
    """

    source = "torch.nn.init.normal_"
    places = WEIGHTS + BIASES

    name: Literal["normal"] = "normal"
    mean: float = Field(default=0.0, ge=-LARGEST, le=LARGEST, description="Mean.")
    std: float = Field(default=0.1, gt=0, le=LARGEST, description="Standard deviation.")

    def sample(self, fan_in: int, fan_out: int, count: int, rng: np.random.Generator) -> Array:
        return rng.normal(self.mean, self.std, (fan_in, count * fan_out))

    def draw_bias(
        self, hidden: int, gates: tuple[str, ...], rng: np.random.Generator, *, fan_in: int | None = None
    ) -> Array:
        return rng.normal(self.mean, self.std, len(gates) * hidden)


class Uniform(WeightInit):
    """Independent uniform numbers, symmetric about zero.

    W ~ U(-bound, bound). fan_out is counted over one gate, so that for a cell `bound: fan_out` is 1 / sqrt(H), what
    torch gives every weight and bias of its nn.RNN, nn.LSTM and nn.GRU; `bound: fan_in` is what its nn.Linear has.

    >>> import numpy as np
    >>> W = Uniform().draw(2, 16, ("h",), np.random.default_rng(0))
    >>> W.shape, bool(abs(W).max() <= 0.25)  # 1 / sqrt(16)
    ((2, 16), True)
    """

    source = "torch.nn.init.uniform_"
    places = WEIGHTS + BIASES

    name: Literal["uniform"] = "uniform"
    bound: Annotated[float, Field(gt=0, le=LARGEST)] | Literal["fan_in", "fan_out"] = Field(
        default="fan_out", description="The bound; fan_in means 1 / sqrt(fan_in), fan_out means 1 / sqrt(fan_out)."
    )

    def sample(self, fan_in: int, fan_out: int, count: int, rng: np.random.Generator) -> Array:
        bound = self._bound(fan_in, fan_out)
        return rng.uniform(-bound, bound, (fan_in, count * fan_out))

    def draw_bias(
        self, hidden: int, gates: tuple[str, ...], rng: np.random.Generator, *, fan_in: int | None = None
    ) -> Array:
        bound = self._bound(fan_in, hidden)
        return rng.uniform(-bound, bound, len(gates) * hidden)

    def _bound(self, fan_in: int | None, fan_out: int) -> float:
        if not isinstance(self.bound, str):
            return self.bound
        fan = fan_in if self.bound == "fan_in" else fan_out
        if fan is None:
            raise UsageError("init 'uniform': bound fan_in of a bias needs the fan_in of its units")
        return 1 / math.sqrt(fan)


class Constant(WeightInit):
    """The same value everywhere.

    W = value.

    >>> import numpy as np
    >>> Constant(value=0.5).draw_bias(2, ("r", "z"), np.random.default_rng(0))
    array([0.5, 0.5, 0.5, 0.5])
    """

    source = "torch.nn.init.constant_"
    places = WEIGHTS + BIASES

    name: Literal["constant"] = "constant"
    value: float = Field(ge=-LARGEST, le=LARGEST, description="The value.", examples=[0.5])

    def sample(self, fan_in: int, fan_out: int, count: int, rng: np.random.Generator) -> Array:
        return np.full((fan_in, count * fan_out), self.value)

    def draw_bias(
        self, hidden: int, gates: tuple[str, ...], rng: np.random.Generator, *, fan_in: int | None = None
    ) -> Array:
        return np.full(len(gates) * hidden, self.value)


class Zeros(Init):
    """Zeros.

    W = 0. There is no spectral_radius here: no factor scales zeros to one.

    >>> import numpy as np
    >>> Zeros().draw(1, 2, ("r", "z"), np.random.default_rng(0))
    array([[0., 0., 0., 0.]])
    """

    source = "torch.nn.init.zeros_"
    places = WEIGHTS + BIASES
    nothing = True

    name: Literal["zeros"] = "zeros"

    def draw(self, fan_in: int, fan_out: int, gates: tuple[str, ...], rng: np.random.Generator) -> Array:
        return np.zeros((fan_in, len(gates) * fan_out))

    def draw_bias(
        self, hidden: int, gates: tuple[str, ...], rng: np.random.Generator, *, fan_in: int | None = None
    ) -> Array:
        return np.zeros(len(gates) * hidden)
