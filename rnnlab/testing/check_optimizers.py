"""Laws of an optimizer."""

from __future__ import annotations

import torch
from torch import Tensor

from rnnlab.network.flat import Layout
from rnnlab.optimizers import OptimizerPart
from rnnlab.testing.check_parts import check_part
from rnnlab.testing.laws import law, made, random_state_untouched

SIZES = (1, 35, 143)
"""Odd on purpose: a kernel that treats the tail of a tensor in another way is seen only where tails differ."""
UPDATES = 5


def check_optimizer(optimizer: OptimizerPart | type[OptimizerPart]) -> None:
    """Raise AssertionError unless an optimizer keeps the laws of optimizers.

    Those of every part; rows of replicas [R, P] are updated, to the bit, as each would be alone, and entries as they
    would be among others (no norm over a row); padding stays 0; without weight decay a gradient of 0 leaves the
    weights; after its state was saved and loaded it goes on to the same bits.
    """
    check_part(optimizer)
    built = made(optimizer)
    with random_state_untouched("an optimizer"):
        for size in SIZES:
            _check_rows(built, size)
        _check_entries(built)
        _check_saved(built)
    still = built.model_copy(update={"weight_decay": 0.0})
    start = _drawn(0, 1, 143)
    law(
        torch.equal(start, _trained(still, start, [torch.zeros_like(start)])),
        "without weight decay a gradient of 0 leaves the weights as they are",
    )


def _drawn(seed: int, replicas: int, size: int) -> Tensor:
    """Rows as a network lays them out: normal numbers, and zeros up to the width of the layout."""
    layout = Layout({"W": (size,)})
    rows = torch.zeros(replicas, layout.width)
    rows[:, :size] = torch.randn(replicas, size, generator=torch.Generator().manual_seed(seed))
    return rows


def _trained(part: OptimizerPart, start: Tensor, gradients: list[Tensor]) -> Tensor:
    rows = start.clone()
    optimizer = part.build([rows])
    for gradient in gradients:
        rows.grad = gradient.clone()
        optimizer.step()
    return rows


def _check_rows(part: OptimizerPart, size: int) -> None:
    start, gradients = _drawn(0, 3, size), [_drawn(1 + k, 3, size) for k in range(UPDATES)]
    stacked = _trained(part, start, gradients)
    law(not torch.equal(stacked, start), "a gradient moves the weights")
    law(not stacked[:, size:].any(), "the padding of a row stays 0")
    for r in range(3):
        alone = _trained(part, start[r : r + 1], [gradient[r : r + 1] for gradient in gradients])
        law(
            torch.equal(stacked[r], alone[0]), "replicas do not meet: each is updated, to the bit, as it would be alone"
        )


def _check_entries(part: OptimizerPart) -> None:
    start, gradients = _drawn(0, 1, 64), [_drawn(1 + k, 1, 64) for k in range(UPDATES)]
    whole = _trained(part, start, gradients)
    half = _trained(part, start[:, :32].clone(), [gradient[:, :32].clone() for gradient in gradients])
    law(torch.allclose(whole[:, :32], half, rtol=1e-6, atol=0), "the rule is elementwise: no entry depends on another")


def _check_saved(part: OptimizerPart) -> None:
    start, gradients = _drawn(0, 2, 35), [_drawn(1 + k, 2, 35) for k in range(UPDATES)]
    rows = start.clone()
    first = part.build([rows])
    for gradient in gradients[:2]:
        rows.grad = gradient.clone()
        first.step()
    again = rows.clone()
    second = part.build([again])
    second.load_state_dict(first.state_dict())
    for gradient in gradients[2:]:
        again.grad = gradient.clone()
        second.step()
    law(
        torch.equal(again, _trained(part, start, gradients)),
        "an optimizer whose state was saved and loaded goes on to the same bits",
    )
