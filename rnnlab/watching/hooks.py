"""Hooks on other people's modules, tensors and optimizers: they never raise, and a copied model has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor


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


def on_gradient(tensor: Tensor, name: str, function: Callable[[str, Tensor], None]) -> bool:
    """Call `function` with the name and with the gradient of a tensor that some operation gave; False for any other.

    The gradient is the one that travels on, after every hook that the user puts on the tensor.
    """
    node = tensor.grad_fn
    if node is None:
        return False
    number = tensor.output_nr

    def arrived(gradients: tuple[Tensor | None, ...]) -> None:
        gradient = gradients[number]
        if gradient is not None:
            function(name, gradient)

    node.register_prehook(arrived)
    return True
