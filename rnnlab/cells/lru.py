"""The linear recurrent unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rnnlab.cells.base import Cell, State
from rnnlab.cells.rnn import RULES
from rnnlab.scan.rule import Rule

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from rnnlab.inits import Init

OWN = ("nu_log", "theta_log", "gamma_log")
LONGEST_MEMORY = 1 - 2.0**-53
"""The largest modulus below 1 in float64: of 1 there is no nu."""


class Lru(Cell):
    """Linear recurrent unit, z_t = lambda * z_{t-1} + gamma * (x_t B + b) with complex z, the paper's x.

    lambda = exp(-exp(nu_log) + i exp(theta_log)) has modulus below 1 whatever is learned. gamma = exp(gamma_log) starts
    as sqrt(1 - |lambda|^2), so that z keeps the variance of x B. All three logarithms are learned, one a complex unit.

    A complex unit is two of the H real ones, h = (Re z, Im z), so that the norm of dL/dh_t is that of the complex
    gradient, a linear read-out of h is the paper's Re(C z), and W_ih is Re B and Im B side by side. With an odd H the
    last of the first half is real, lambda = exp(-exp(nu_log)), and reads no theta_log. b is not in the paper; its skip
    D x and the block around the recurrence are not in the cell.

    lambda is multiplied as a matrix W_hh, [[Re, Im], [-Im, Re]] of diagonals, so that the compiled scan runs it, at the
    cost of an rnn; `spectrum` measures that matrix. Its initializer is `ring`.

    >>> import torch
    >>> own = {name: torch.tensor([[[value]]]) for name, value in zip(OWN, (-0.3665, 0.4516, 0.0), strict=True)}
    >>> W_hh = Lru().weights({"W_ih": torch.ones(1, 1, 2), "b": torch.zeros(1, 2), **own})["W_hh"]
    >>> W_hh.round(decimals=3)  # modulus 1/2, angle pi/2
    tensor([[[-0.0000,  0.5000],
             [-0.5000, -0.0000]]])
    """

    source: ClassVar[str] = (
        "Orvieto et al., Resurrecting recurrent neural networks for long sequences, 2023, arXiv:2303.06349"
    )
    gates: ClassVar[tuple[str, ...]] = ("h",)
    parametrised: ClassVar[bool] = True
    recurrent_init: ClassVar[str | None] = "ring"

    name: Literal["lru"] = "lru"

    def draw_recurrent(self, hidden: int, init: Init, rng: np.random.Generator) -> dict[str, np.ndarray[Any, Any]]:
        import numpy as np

        moduli, phases = init.polar(-(-hidden // 2), rng)
        moduli = np.clip(moduli, np.finfo(float).tiny, LONGEST_MEMORY)
        nu, gamma = np.log(-np.log(moduli)), np.log(1 - moduli**2) / 2
        return {"nu_log": nu[None], "theta_log": np.log(phases)[None], "gamma_log": gamma[None]}

    def recurrent_count(self, hidden: int) -> int:
        return 3 * -(-hidden // 2)

    def weights(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        import torch

        H = parameters["b"].shape[1]
        nu, theta, log_gamma = (parameters[name] for name in OWN)
        # Of an odd H the last unit of the first half has no partner.
        pairs = H // 2
        angle = torch.cat([theta[..., :pairs].exp(), torch.zeros_like(theta[..., pairs:])], -1)
        modulus = (-nu.exp()).exp()
        real, imaginary = (modulus * angle.cos())[:, 0], (modulus * angle.sin())[:, 0, :pairs]
        W = torch.diag_embed(torch.cat([real, real[:, :pairs]], -1))
        W = W + torch.diag_embed(imaginary, H - pairs) - torch.diag_embed(imaginary, pairs - H)
        gamma = torch.cat([log_gamma.exp(), log_gamma[..., :pairs].exp()], -1)
        own = {name: value for name, value in parameters.items() if name not in OWN}
        return {**own, "W_ih": own["W_ih"] * gamma, "b": own["b"] * gamma[:, 0], "W_hh": W}

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        h = gx + gh
        return (h,), (h,)

    def rule(self) -> Rule:
        return RULES["linear"]

    def nonlinearities(self) -> tuple[str, ...]:
        return ("linear",)
