"""Laws of a penalty."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from rnnlab.config import Config, load_config
from rnnlab.gradients.view import UpdateView
from rnnlab.network.network import Network
from rnnlab.penalties import Penalty, Term
from rnnlab.testing.check_parts import check_part
from rnnlab.testing.laws import bits, law, made, random_state_untouched
from rnnlab.training.fleet import Fleet

SETTINGS = {
    "task": {"name": "addition", "length": 12},
    "model": {"cell": "rnn", "hidden": 4, "layers": 2},
    "train": {"batch": 3, "scan": "general"},
    "dtype": "float64",
    "device": "cpu",
}
_MOST = 1000
"""Updates among which there must be one at which it acts, if it ever acts."""


def check_penalty(penalty: Penalty | type[Penalty]) -> None:
    """Raise AssertionError unless a penalty keeps the laws of penalties.

    Those of every part; where it acts, a finite value for each replica and a finite float64 gradient of the shape of
    each weight that it names; nothing that it is shown changes, and no random state moves; a replica of a fleet has the
    value and the gradient that it would have alone.
    """
    check_part(penalty)
    one, config = made(penalty), load_config(SETTINGS)
    update = next((update for update in range(_MOST) if one.due(update)), None)
    if update is None:
        return
    together = _measured(one, config.seeded(0, 1), update)
    for r in range(2):
        alone = _measured(one, config.seeded(r), update)
        law(np.allclose(together.values[r], alone.values[0]), "replicas do not meet: each has the value it has alone")
        for ours, single in zip(together.gradients, alone.gradients, strict=True):
            same = all(torch.allclose(ours[name][r], single[name][0], rtol=1e-6, atol=1e-9) for name in ours)
            law(same, "replicas do not meet: each has the gradient that it has alone")


def _measured(penalty: Penalty, configs: Sequence[Config], update: int) -> Term:
    fleet = Fleet(configs)
    batch = fleet.compute_gradients()
    view = UpdateView(update, fleet.network, batch.result, batch.sequences, fleet.objective)
    shown = [*fleet.network.parameters.values(), batch.gradients, batch.result.losses]
    before = [bits(tensor) for tensor in shown]
    with random_state_untouched("a penalty"):
        term = penalty.measure(view)
    law(before == [bits(tensor) for tensor in shown], "a penalty changes nothing of what it is shown")
    _check_term(term, fleet.network)
    return term


def _check_term(term: Term, network: Network) -> None:
    law(np.shape(term.values) == (network.replicas,), "a value for each replica [R]", term.values)
    law(np.isfinite(term.values).all(), "its value is finite", term.values)
    law(len(term.gradients) == network.shape.layers, "a mapping of gradients for each layer", len(term.gradients))
    for index, of_weights in enumerate(term.gradients):
        weights = network.layer(index).parameters()
        law(not of_weights.keys() - weights.keys(), "gradients are of the layer's weights, by name", [*of_weights])
        for name, gradient in of_weights.items():
            law(gradient.shape == weights[name].shape, "a gradient has the shape of its weight", (name, gradient.shape))
            law(gradient.dtype == torch.float64, "a gradient is in float64", (name, gradient.dtype))
            law(bool(gradient.isfinite().all()), "a gradient is finite", name)
