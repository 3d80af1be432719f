"""The Lorenz system."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike
from pydantic import Field

from rnnlab.tasks.base import LOSS_HELP, Array, Batch, Chance, Kind, Loss
from rnnlab.tasks.generated import Generated

SIGMA, RHO, BETA = 10.0, 28.0, 8 / 3
CENTRE, SCALE = np.array([0.0, 0.0, 23.5]), np.array([7.9, 9.0, 8.6])
"""About the mean and the standard deviation of x, y, z on the attractor."""
WARM_UP = 5.0
"""Time between a random state and the first that is shown; errors off the attractor shrink by e^-13.7 in each unit."""


class Lorenz(Generated):
    """Predict the next state of the Lorenz system, which is chaotic.

    Protocol: x' = 10 (y - x), y' = x (28 - z) - y, z' = x y - 8/3 z, from a state drawn uniformly from
    [-15, 15]^2 x [5, 45], integrated in float64 by the classical Runge-Kutta method of fourth order with steps of `dt`;
    the first 5 units of time are not shown. Each of T timesteps shows (x, y, z) less (0, 0, 23.5) over (7.9, 9.0, 8.6),
    about its mean and standard deviation, and the target is the state `ahead` steps later. The largest Lyapunov
    exponent is 0.906 a unit of time.

    Mistake: |output - target|, the mean over x, y and z.

    Chance: answering with the mean has a mean squared error of 1.00 and a mean error of 0.81.

    >>> batch = next(Lorenz(length=20).stream(seed=0, dtype="float64").batches(4))
    >>> bool((batch.x[1:] == batch.y[:-1]).all())
    True
    """

    kind: ClassVar[Kind] = "value"
    per_timestep: ClassVar[bool] = True
    inputs: ClassVar[int] = 3
    outputs: ClassVar[int] = 3
    source: ClassVar[str] = (
        "Lorenz, Deterministic nonperiodic flow, 1963, doi:10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2"
    )

    name: Literal["lorenz"] = "lorenz"
    loss: Loss = Field(default="all", description=LOSS_HELP)
    length: int = Field(default=100, ge=2, description="length T of a sequence, in timesteps")
    dt: float = Field(default=0.02, ge=0.001, le=0.05, description="time between two timesteps")
    ahead: int = Field(default=1, ge=1, le=10**4, description="timesteps between what is shown and its target")

    @property
    def timesteps(self) -> int:
        return self.length

    def draw(self, rng: np.random.Generator, batch: int, dtype: DTypeLike) -> Batch:
        state = np.concatenate([rng.uniform(-15, 15, (2, batch)), rng.uniform(5, 45, (1, batch))])
        for _ in range(round(WARM_UP / self.dt)):
            state = runge_kutta(state, self.dt)
        states = [state]
        for _ in range(self.length + self.ahead - 1):
            states.append(runge_kutta(states[-1], self.dt))
        path = ((np.stack(states).transpose(0, 2, 1) - CENTRE) / SCALE).astype(dtype)
        return Batch(np.ascontiguousarray(path[: self.length]), np.ascontiguousarray(path[self.ahead :]))

    def chance(self) -> Chance:
        return Chance(1.0, 0.81)


def slope(state: Array) -> Array:
    """The time derivatives of x, y, z, [3, B]."""
    x, y, z = state
    return np.stack([SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z])


def runge_kutta(state: Array, dt: float) -> Array:
    """The state [3, B] one step of the classical Runge-Kutta method later; its error is of order dt^5."""
    a = slope(state)
    b = slope(state + dt / 2 * a)
    c = slope(state + dt / 2 * b)
    d = slope(state + dt * c)
    later: Array = state + dt / 6 * (a + 2 * b + 2 * c + d)
    return later
