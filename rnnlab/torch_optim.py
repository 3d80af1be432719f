"""torch.optim with less around it: the update alone, to the bit, on the optimizer's own state.

What `Optimizer.step` does around a kernel takes longer than the kernel where a network is small: for 400 parameters
adam takes 125 microseconds, 18 of them its fused kernel; sgd 60 and 8.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import unwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer


@cache
def eager(rule: type[Optimizer]) -> Callable[..., Optimizer]:
    """`rule` without torch's wrappers for torch.compile, whose import takes as long as half of torch's own.

    Nothing here is compiled by it. The updates are the same, to the bit; `differentiable` has no effect.

    >>> from torch.optim import SGD
    >>> issubclass(eager(SGD), SGD)
    True
    """
    import torch

    members = {"step": torch.no_grad()(unwrap(rule.step)), "add_param_group": unwrap(rule.add_param_group)}
    return type(rule.__name__, (rule,), members)


def whole_step(optimizer: Optimizer, rows: Tensor, gradients: Tensor) -> None:
    """One update of the optimizer's only parameter, as `Optimizer.step` makes it."""
    rows.grad = gradients
    optimizer.step()


def fused_step(optimizer: Optimizer, rows: Tensor, gradients: Tensor) -> None:
    """The same of a torch.optim.Adam or AdamW with `fused`, whose first update has made its state.

    >>> import torch
    >>> W = torch.tensor([[1.0, 2.0]])
    >>> optimizer = torch.optim.Adam([W], lr=0.1, fused=True)
    >>> for _ in range(2):
    ...     fused_step(optimizer, W, torch.tensor([[1.0, -1.0]]))
    >>> W, optimizer.state[W]["step"]
    (tensor([[0.8000, 2.2000]]), tensor(2.))
    """
    import torch

    state, (group,) = optimizer.state.get(rows), optimizer.param_groups
    if not state or rows.device.type != "cpu":
        whole_step(optimizer, rows, gradients)
        return
    kernel = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_
    largest = [state["max_exp_avg_sq"]] if group["amsgrad"] else []
    options = {name: group[name] for name in ("lr", "weight_decay", "eps", "amsgrad", "maximize")}
    beta1, beta2 = group["betas"]
    torch._foreach_add_([state["step"]], 1)
    kernel(
        [rows], [gradients], [state["exp_avg"]], [state["exp_avg_sq"]], largest, [state["step"]],
        beta1=beta1, beta2=beta2, **options,
    )  # fmt: skip


def sgd_step(optimizer: Optimizer, rows: Tensor, gradients: Tensor) -> None:
    """The same of a torch.optim.SGD, whose first update has made its momentum, where it has any.

    >>> import torch
    >>> W = torch.tensor([[1.0, 2.0]])
    >>> sgd_step(torch.optim.SGD([W], lr=0.5), W, torch.tensor([[1.0, -1.0]]))
    >>> W
    tensor([[0.5000, 2.5000]])
    """
    from torch.optim.sgd import sgd

    state, (group,) = optimizer.state.get(rows), optimizer.param_groups
    if rows.device.type != "cpu" or (group["momentum"] and not state):
        whole_step(optimizer, rows, gradients)
        return
    momenta = [state["momentum_buffer"] if state else None]
    options = {name: group[name] for name in ("lr", "momentum", "dampening", "nesterov", "weight_decay", "maximize")}
    sgd([rows], [gradients], momenta, foreach=False, fused=False, **options)
