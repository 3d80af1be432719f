"""Laws of an initializer."""

from __future__ import annotations

import numpy as np

from rnnlab.errors import UsageError
from rnnlab.inits import BIASES, WEIGHTS, Array, Init, spectral_radius
from rnnlab.testing.check_parts import check_part
from rnnlab.testing.laws import law, made, random_state_untouched

SHAPES = ((7, 7), (3, 8), (8, 3), (1, 5), (5, 1), (20, 30))
"""fan_in and fan_out."""
GATES = (("h",), ("i", "f", "g", "o"), ("r", "z", "n"))


def check_initializer(init: Init | type[Init]) -> None:
    """Raise AssertionError unless an initializer keeps the laws of initializers.

    Those of every part; for the places that it is for, a draw is float64 of the right shape and finite, and follows
    from its generator alone; elsewhere it raises UsageError; with `spectral_radius` each gate's block has that radius.
    """
    check_part(init)
    built = made(init)
    law(
        set(built.places) <= {*WEIGHTS, *BIASES} and built.places, "`places` are among those of a network", built.places
    )
    weights, biases = bool(set(built.places) & set(WEIGHTS)), bool(set(built.places) & set(BIASES))
    # Only W_hh is always square.
    shapes = SHAPES if set(built.places) & {"input", "readout"} else ((7, 7), (20, 20))
    for gates in GATES if weights else ():
        for fan_in, fan_out in shapes:
            _check_draw(built, built.draw(fan_in, fan_out, gates, _rng()), (fan_in, len(gates) * fan_out))
    for gates in GATES if biases else ():
        if built.conflict(gates) is None:
            _check_draw(built, built.draw_bias(6, gates, _rng()), (6 * len(gates),))
    if not weights:
        law(_refuses(built, True), "an initializer that is for no weight raises UsageError in `draw`")
    if not biases:
        law(_refuses(built, False), "an initializer that is for no bias raises UsageError in `draw_bias`")
    _check_randomness(built, weights)
    if "spectral_radius" in type(built).model_fields:
        scaled = built.model_copy(update={"spectral_radius": 0.95})
        for block in np.split(scaled.draw(40, 40, GATES[1], _rng()), 4, axis=1):
            radius = spectral_radius(block)
            law(abs(radius - 0.95) < 1e-10, "each gate is scaled to the spectral radius asked for", radius)


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _check_draw(init: Init, drawn: Array, shape: tuple[int, ...]) -> None:
    law(drawn.shape == shape, f"a draw has the shape [fan_in, gates * fan_out], here {shape}", drawn.shape)
    law(drawn.dtype == np.float64, "a draw is float64", drawn.dtype)
    law(np.isfinite(drawn).all(), "a draw is finite")


def _check_randomness(init: Init, weights: bool) -> None:
    gates = next((gates for gates in reversed(GATES) if init.conflict(gates) is None), GATES[1])

    def draw(rng: np.random.Generator) -> Array:
        return init.draw(6, 6, gates, rng) if weights else init.draw_bias(6, gates, rng)

    with random_state_untouched("a draw"):
        law(np.array_equal(draw(_rng(3)), draw(_rng(3))), "a draw follows from its generator alone")


def _refuses(init: Init, weight: bool) -> bool:
    try:
        init.draw(4, 4, GATES[1], _rng()) if weight else init.draw_bias(4, GATES[1], _rng())
    except UsageError:
        return True
    return False
