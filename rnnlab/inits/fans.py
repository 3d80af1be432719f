"""Initializers whose variance follows from the fans: Xavier (Glorot) and He (Kaiming)."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from rnnlab.inits.base import LARGEST, Array, WeightInit

Fans = Annotated[
    Literal["gate", "stacked"],
    Field(
        description="Count fan_out over one gate's [fan_in, H] block, or over the stacked [fan_in, G*H] matrix "
        "(as Keras does, and torch.nn.init on the weight of an nn.LSTM)."
    ),
]


class _Xavier(WeightInit):
    gain: float = Field(
        default=1.0, gt=0, le=LARGEST, description="Factor on the standard deviation; 5/3 is torch's for tanh."
    )
    fans: Fans = "gate"

    def std(self, fan_in: int, fan_out: int, count: int) -> float:
        width = count * fan_out if self.fans == "stacked" else fan_out
        return self.gain * math.sqrt(2 / (fan_in + width))


class XavierUniform(_Xavier):
    """Xavier (Glorot) uniform: activations and gradients keep their variance from layer to layer.

    W ~ U(-a, a) with a = gain * sqrt(6 / (fan_in + fan_out)).

    >>> import numpy as np
    >>> W = XavierUniform().draw(3, 3, ("i", "f"), np.random.default_rng(0))
    >>> W.shape, bool(abs(W).max() <= 1)  # sqrt(6 / (3 + 3)) = 1
    ((3, 6), True)
    """

    source = (
        "Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010, "
        "https://proceedings.mlr.press/v9/glorot10a.html"
    )

    name: Literal["xavier_uniform"] = "xavier_uniform"

    def sample(self, fan_in: int, fan_out: int, count: int, rng: np.random.Generator) -> Array:
        bound = math.sqrt(3) * self.std(fan_in, fan_out, count)
        return rng.uniform(-bound, bound, (fan_in, count * fan_out))


class XavierNormal(_Xavier):
    """Xavier (Glorot) normal: as xavier_uniform with a normal distribution.

    W ~ N(0, s^2) with s = gain * sqrt(2 / (fan_in + fan_out)), not truncated: as torch; Keras truncates at 2 s.

    >>> import numpy as np
    >>> W = XavierNormal().draw(200, 200, ("h",), np.random.default_rng(0))
    >>> round(float(W.std()), 2)  # sqrt(2 / (200 + 200)) = 0.0707
    0.07
    """

    source = (
        "Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010, "
        "https://proceedings.mlr.press/v9/glorot10a.html"
    )

    name: Literal["xavier_normal"] = "xavier_normal"

    def sample(self, fan_in: int, fan_out: int, count: int, rng: np.random.Generator) -> Array:
        return rng.normal(0, self.std(fan_in, fan_out, count), (fan_in, count * fan_out))


class _He(WeightInit):
    gain: float = Field(
        default=math.sqrt(2),
        gt=0,
        le=LARGEST,
        description="Factor on the standard deviation; sqrt(2) is for ReLU, 1 for linear.",
    )
    mode: Literal["fan_in", "fan_out"] = Field(
        default="fan_in",
        description="fan_in keeps the variance of activations on the way forward, fan_out that of gradients backward.",
    )
    fans: Fans = "gate"

    def std(self, fan_in: int, fan_out: int, count: int) -> float:
        width = count * fan_out if self.fans == "stacked" else fan_out
        return self.gain / math.sqrt(fan_in if self.mode == "fan_in" else width)


class HeUniform(_He):
    """He (Kaiming) uniform: ReLU activations keep their variance from layer to layer.

    W ~ U(-a, a) with a = gain * sqrt(3 / fan), fan being fan_in or fan_out.

    >>> import numpy as np
    >>> W = HeUniform().draw(6, 3, ("h",), np.random.default_rng(0))
    >>> W.shape, bool(abs(W).max() <= 1)  # sqrt(2) * sqrt(3 / 6) = 1
    ((6, 3), True)
    """

    source = "He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015, arXiv:1502.01852"

    name: Literal["he_uniform"] = "he_uniform"

    def sample(self, fan_in: int, fan_out: int, count: int, rng: np.random.Generator) -> Array:
        bound = math.sqrt(3) * self.std(fan_in, fan_out, count)
        return rng.uniform(-bound, bound, (fan_in, count * fan_out))


class HeNormal(_He):
    """He (Kaiming) normal: as he_uniform with a normal distribution.

    W ~ N(0, s^2) with s = gain / sqrt(fan), not truncated: as torch; Keras truncates at 2 s.

    >>> import numpy as np
    >>> W = HeNormal().draw(200, 200, ("h",), np.random.default_rng(0))
    >>> round(float(W.std()), 2)  # sqrt(2) / sqrt(200) = 0.1
    0.1
    """

    source = "He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015, arXiv:1502.01852"

    name: Literal["he_normal"] = "he_normal"

    def sample(self, fan_in: int, fan_out: int, count: int, rng: np.random.Generator) -> Array:
        return rng.normal(0, self.std(fan_in, fan_out, count), (fan_in, count * fan_out))
