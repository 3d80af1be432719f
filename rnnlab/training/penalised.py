"""The gradient of the loss and of a penalty together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from rnnlab.network.flat import Floats, Gradient
from rnnlab.runs.columns import PENALTY
from rnnlab.scan.scaled import Scaled, add

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from rnnlab.gradients.view import UpdateView
    from rnnlab.network.network import Network
    from rnnlab.penalties import Penalty


def gradient_with(penalty: Penalty, view: UpdateView) -> tuple[Gradient, dict[str, Floats]]:
    """The gradient of an update with that of the penalty, and its column of metrics.csv; none where it does not act."""
    network = view.network
    assert network.flat is not None
    width = network.flat.shape[1]
    if not penalty.due(view.update):
        return view.result.gradient(width), {}
    term, total = penalty.measure(view), dict(view.result.gradients)
    for index, of_weights in enumerate(term.gradients):
        for name, part in network.parameter_gradients(index, _scaled(network, index, of_weights)).items():
            total[name] = _sum(total[name], part)
    return Gradient([total[name] for name in network.parameters], width), {PENALTY.name: term.values}


def _scaled(network: Network, index: int, of_weights: Mapping[str, Tensor]) -> dict[str, Scaled]:
    """The gradients of all that a layer multiplies by and adds, in the network's dtype; zeros for those not given."""
    whole = {}
    for name, value in network.layer(index).parameters().items():
        given = of_weights.get(name)
        rows = Scaled.of(torch.zeros_like(value).flatten(1) if given is None else given.flatten(1))
        whole[name] = Scaled(rows.mantissa.to(value).view_as(value), rows.exponent.to(value.device))
    return whole


def _sum(a: Scaled, b: Scaled) -> Scaled:
    rows = add(*(Scaled(part.mantissa.flatten(1), part.exponent) for part in (a, b)))
    return Scaled(rows.mantissa.view_as(a.mantissa), rows.exponent)
