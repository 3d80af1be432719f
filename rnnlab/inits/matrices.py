"""Initializers that give the matrix a structure: orthogonal, identity, sparse."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from rnnlab.inits.base import LARGEST, Array, WeightInit


class Orthogonal(WeightInit):
    """Orthogonal matrices, uniform over the orthogonal group: a linear recurrence keeps the norm of its gradient.

    W = gain * Q with Q^T Q = 1, or Q Q^T = 1 where W has fewer rows than columns. Q comes from the QR decomposition of
    a normal matrix, with the signs of diag(R) taken out (Mezzadri 2007), as torch and Keras do.

    Over one gate, each [H, H] block has all singular values equal to gain. Over the stacked [H, G*H] matrix (as Keras
    draws its recurrent kernel, and torch.nn.init.orthogonal_ on the weight of an nn.LSTM) the rows are orthonormal
    together and each block alone contracts.

    >>> import numpy as np
    >>> W = Orthogonal(gain=2).draw(3, 3, ("h",), np.random.default_rng(0))
    >>> np.allclose(W.T @ W, 4 * np.eye(3))
    True
    """

    source = (
        "Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in deep linear "
        "neural networks, 2014, arXiv:1312.6120; "
        "the draw: Mezzadri, How to generate random matrices from the classical compact groups, 2007, "
        "arXiv:math-ph/0609050"
    )

    name: Literal["orthogonal"] = "orthogonal"
    gain: float = Field(default=1.0, gt=0, le=LARGEST, description="Every singular value of the matrix drawn.")
    over: Literal["gate", "stacked"] = Field(
        default="gate", description="Draw one matrix for each gate, or one [fan_in, G*H] matrix for all (as Keras)."
    )

    def sample(self, fan_in: int, fan_out: int, count: int, rng: np.random.Generator) -> Array:
        if self.over == "stacked":
            return self.gain * orthogonal(fan_in, count * fan_out, rng)
        return self.gain * np.concatenate([orthogonal(fan_in, fan_out, rng) for _ in range(count)], axis=1)


class Identity(WeightInit):
    """A scaled identity in every gate (IRNN): with a ReLU the state is copied from timestep to timestep.

    W_g = scale * 1, ones on the diagonal where the block is not square.

    >>> import numpy as np
    >>> Identity(scale=0.5).draw(2, 2, ("r", "z"), np.random.default_rng(0))
    array([[0.5, 0. , 0.5, 0. ],
           [0. , 0.5, 0. , 0.5]])
    """

    source = (
        "Le, Jaitly and Hinton, A simple way to initialize recurrent networks of rectified linear units, 2015, "
        "arXiv:1504.00941"
    )

    name: Literal["identity"] = "identity"
    scale: float = Field(
        default=1.0, ge=-LARGEST, le=LARGEST, description="The value on the diagonal; 0.01 is the paper's for speech."
    )

    def sample(self, fan_in: int, fan_out: int, count: int, rng: np.random.Generator) -> Array:
        return np.tile(self.scale * np.eye(fan_in, fan_out), count)


class Sparse(WeightInit):
    """A few normal weights into each unit, zeros elsewhere: units stay different and do not saturate.

    Each column of W has k = min(non_zeros, fan_in) entries from N(0, std^2) in rows chosen without replacement.
    `spectral_radius: 0.95` with 15 non-zeros makes the recurrent weight of Pascanu's "smart tanh" (Pascanu, Mikolov,
    Bengio 2013). torch.nn.init.sparse_ counts the other way: zeros for each input.

    >>> import numpy as np
    >>> W = Sparse(non_zeros=2).draw(5, 3, ("h",), np.random.default_rng(0))
    >>> (W != 0).sum(axis=0)
    array([2, 2, 2])
    """

    source = (
        "Martens, Deep learning via Hessian-free optimization, 2010, "
        "https://icml.cc/Conferences/2010/papers/458.pdf; "
        "Martens and Sutskever, Learning recurrent neural networks with Hessian-free optimization, 2011, "
        "https://icml.cc/Conferences/2011/papers/532_icmlpaper.pdf"
    )

    name: Literal["sparse"] = "sparse"
    non_zeros: int = Field(default=15, ge=1, description="Non-zero weights into each unit of each gate.")
    std: float = Field(default=1.0, gt=0, le=LARGEST, description="Standard deviation of the non-zero weights.")

    def sample(self, fan_in: int, fan_out: int, count: int, rng: np.random.Generator) -> Array:
        weight = np.zeros((fan_in, count * fan_out))
        rows = np.argsort(rng.random(weight.shape), axis=0)[: self.non_zeros]
        np.put_along_axis(weight, rows, rng.normal(0, self.std, rows.shape), axis=0)
        return weight


def orthogonal(rows: int, columns: int, rng: np.random.Generator) -> Array:
    """A [rows, columns] matrix, orthonormal along its shorter side, from the Haar distribution."""
    if rows < columns:
        return orthogonal(columns, rows, rng).T
    q, r = np.linalg.qr(rng.normal(size=(rows, columns)))
    signed: Array = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return signed
