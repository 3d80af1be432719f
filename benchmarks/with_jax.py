"""The same update in JAX: a jitted lax.scan with zero perturbations added to every state.

The gradient with respect to a perturbation is the total gradient of that state, so one backward pass gives all norms.
`python benchmarks/with_jax.py lstm 20 100 50 8` for cell, B, T, H and runs (0: one, no replica axis), or --quick.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    if __name__ != "__main__":
        raise
    print("jax is not installed, so there is nothing to time (pip install -e '.[bench]')", file=sys.stderr)
    sys.exit()

GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def initial(cell: str, H: int, seed: int = 0) -> dict[str, Any]:
    """torch's default initialization: uniform within 1/sqrt(H)."""
    rng, bound, G = np.random.default_rng(seed), 1 / np.sqrt(H), GATES[cell] * H
    shapes = {"W_ih": (2, G), "W_hh": (H, G), "b": (G,), "b_hh": (G,), "W": (H, 1), "c": (1,)}
    return {name: jnp.asarray(rng.uniform(-bound, bound, shape), jnp.float32) for name, shape in shapes.items()}


def step(cell: str, p: dict[str, Any], state: tuple[Any, ...], gx: Any, nudge: tuple[Any, ...]) -> tuple[Any, ...]:
    """One timestep, from the input pre-activation; h_t hangs on the nudged c_t, so that c's total gradient is whole."""
    h, gh = state[0], state[0] @ p["W_hh"] + p["b_hh"]
    if cell == "lstm":
        i, f, g, o = jnp.split(gx + gh, 4, -1)
        c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g) + nudge[1]
        return jax.nn.sigmoid(o) * jnp.tanh(c) + nudge[0], c
    if cell == "gru":
        (xr, xz, xn), (hr, hz, hn) = jnp.split(gx, 3, -1), jnp.split(gh, 3, -1)
        r, z = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
        n = jnp.tanh(xn + r * hn)
        return ((1 - z) * n + z * h + nudge[0],)
    return (jnp.tanh(gx + gh) + nudge[0],)


def update_rule(cell: str, B: int, H: int) -> Callable[..., Any]:
    """From (parameters, Adam's m and v, count, x [T, B, 2], y [B, 1]) to the same after an update, and norms [T]."""
    states = 2 if cell == "lstm" else 1

    def loss(p: dict[str, Any], nudges: tuple[Any, ...], x: Any, y: Any) -> Any:
        def body(state: tuple[Any, ...], inputs: Any) -> Any:
            gx, *nudge = inputs
            return step(cell, p, state, gx, tuple(nudge)), None

        zero = jnp.zeros((B, H), jnp.float32)
        last, _ = jax.lax.scan(body, (zero,) * states, (x @ p["W_ih"] + p["b"], *nudges))
        return jnp.mean((last[0] @ p["W"] + p["c"] - y) ** 2)

    def update(p: dict[str, Any], m: Any, v: Any, count: Any, x: Any, y: Any) -> Any:
        nudges = tuple(jnp.zeros((x.shape[0], B, H), jnp.float32) for _ in range(states))
        gradients, adjoints = jax.grad(loss, (0, 1))(p, nudges, x, y)
        norms = [jnp.sqrt((one**2).sum((1, 2))) for one in adjoints]
        size = jnp.sqrt(sum((g**2).sum() for g in jax.tree.leaves(gradients)))
        gradients = jax.tree.map(lambda g: g * jnp.minimum(1.0, 1.0 / (size + 1e-6)), gradients)
        m = jax.tree.map(lambda old, g: 0.9 * old + 0.1 * g, m, gradients)
        v = jax.tree.map(lambda old, g: 0.999 * old + 0.001 * g**2, v, gradients)
        a, b = 1 - 0.9**count, 1 - 0.999**count
        p = jax.tree.map(lambda w, first, second: w - 1e-3 * (first / a) / (jnp.sqrt(second / b) + 1e-8), p, m, v)
        return p, m, v, count + 1, norms

    return update


def make_update(cell: str, B: int, T: int, H: int, runs: int = 0) -> Callable[[], object]:
    """An update of one run, or of `runs` together by jax.vmap."""
    rng = np.random.default_rng(0)
    lead = (runs,) if runs else ()
    x = jnp.asarray(rng.random((*lead, T, B, 2)), jnp.float32)
    y = jnp.asarray(rng.random((*lead, B, 1)), jnp.float32)
    rule = update_rule(cell, B, H)
    p = initial(cell, H)
    if runs:
        rule = jax.vmap(rule, in_axes=(0, 0, 0, None, 0, 0), out_axes=(0, 0, 0, None, 0))
        each = [initial(cell, H, seed) for seed in range(runs)]
        p = jax.tree.map(lambda *parts: jnp.stack(parts), *each)
    zeros = jax.tree.map(jnp.zeros_like, p)
    held: list[Any] = [p, zeros, zeros, jnp.float32(1)]
    compiled = jax.jit(rule)

    def update() -> object:
        *held[:], norms = compiled(*held, x, y)
        return [np.asarray(one) for one in norms]

    return update


if __name__ == "__main__":
    from alternatives import SHAPES, TINY
    from measure import ONCE, Patience, take_turns
    from options import asked

    sizes = ({"cell": "lstm", **dict(zip("BTH", shape, strict=True)), "runs": 0} for shape in (SHAPES[0], TINY))
    options = asked(__doc__, *sizes)
    given = (options.cell, options.B, options.T, options.H, options.runs)
    print(json.dumps(take_turns({"jax": lambda: make_update(*given)}, ONCE if options.quick else Patience()).ms))
