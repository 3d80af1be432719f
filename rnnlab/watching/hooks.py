"""Hooks on other people's modules, tensors and optimizers: they never raise, and a copied model has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rnnlab.errors import UsageError


class Hook:
    """Calls a function, whose errors go to `failed` and never to the caller.

    A pickled or copied model gets a hook that does nothing in its place: what is watched is this model and no copy.

    >>> hook = Hook(lambda: 1 / 0, print)
    >>> hook()
    division by zero
    """

    def __init__(self, function: Callable[..., None], failed: Callable[[Exception], None]) -> None:
        self._function, self._failed = function, failed

    def __call__(self, *arguments: Any, **keywords: Any) -> None:
        # Inside a graph that torch.compile makes there is nothing to see; to break the graph would change the training.
        if torch.compiler.is_compiling():
            return
        try:
            self._function(*arguments, **keywords)
        except Exception as error:
            self._failed(error)

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return no_hook, ()


def no_hook() -> Callable[..., None]:
    """The hook of a copy."""
    return _nothing


def _nothing(*arguments: Any, **keywords: Any) -> None:
    pass


Guard = Callable[[Callable[..., None]], Hook]
"""Makes a hook of a function, with whoever is told of its errors."""


def on_gradient(tensor: Tensor, function: Callable[[Tensor], None], guard: Guard) -> None:
    """Call `function` with the gradient of a tensor that some operation gave, in every backward pass that reaches it.

    The gradient is the one that travels on, after every hook that the user puts on the tensor. It is detached, and no
    memory of the user's.
    """
    node = tensor.grad_fn
    if node is None:
        return
    number = tensor.output_nr

    def arrived(gradients: tuple[Tensor | None, ...]) -> None:
        gradient = gradients[number]
        if gradient is None:
            return
        if torch.is_grad_enabled():
            raise UsageError(
                "a backward pass with create_graph=True is not recorded; take it at updates that are not (every=...)"
            )
        function(gradient.detach().clone())

    node.register_prehook(guard(arrived))
