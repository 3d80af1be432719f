"""A fused module (nn.RNN, nn.LSTM, nn.GRU) in somebody's model: its calls, and the gradients that come back to them."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnlab.errors import UsageError
from rnnlab.watching.dropout import drops_units
from rnnlab.watching.hooks import Guard, on_gradient
from rnnlab.watching.layers import weights_of
from rnnlab.watching.replay import Call, Replay
from rnnlab.watching.sequences import Layout, data_of

_WINDOWS = 8
"""Calls whose last state a later one may begin with: between two windows there may be an evaluation."""


@dataclass
class CalledOnce:
    """A call of an update that is recorded, and what has come back to it in the backward pass that is under way."""

    call: Call
    offset: int
    """Timesteps of the same sequence before it, in earlier windows."""
    versions: list[int] = field(default_factory=list)
    number: int | None = None
    """Of the calls of this module in this update that a gradient came back to."""
    arrived: dict[str, Tensor] = field(default_factory=dict)

    def tensors(self) -> list[Tensor]:
        """What must not be changed in place before the replay."""
        weights = [tensor for layer in self.call.weights for tensor in layer if tensor is not None]
        return [self.call.x, *self.call.first, *weights]


class FusedModule:
    """Watches the calls of one module.

    began: called when a gradient arrives, so that it is asked for at the end of the backward pass.
    """

    def __init__(self, name: str, module: nn.RNNBase, began: Callable[[], None], guard: Guard) -> None:
        self.name, self.module, self._began, self._guard = name, module, began, guard
        self.replay = Replay(module)
        self.calls: list[CalledOnce] = []
        self.of_weights: dict[int, Tensor] = {}
        """By layer and direction: dL/dW_hh [G*H, H] of the backward pass that is under way."""
        self._numbers = 0
        self._windows: deque[tuple[Tensor, int, int]] = deque(maxlen=_WINDOWS)
        """Of the last calls: the last state, its version, and the timesteps so far."""
        self._random_state: Tensor | None = None
        self._handles: list[Any] = []
        self._followed: list[Tensor] = []

    def before_call(self) -> None:
        """Remember the generator's state, where the call will draw from it."""
        module = self.module
        drops = drops_units(module.dropout, module.num_layers, module.training)
        self._random_state = torch.get_rng_state() if drops and not _on_device(module) else None
        if drops and self._random_state is None:
            raise UsageError(
                f"{self.name}: what was dropped between its layers on {_device(module)} cannot be drawn again, so none "
                "of them can be read; set dropout=0 in the module and put nn.Dropout between single layers"
            )

    def after_call(self, arguments: tuple[Any, ...], keywords: dict[str, Any], given: Any, *, due: bool) -> None:
        """Follow the windows of truncated backpropagation; where the update is recorded, keep what the call took."""
        x, first = _taken(arguments, keywords)
        output, last = given[0], _states(given[1])
        offset = self._continues(first)
        self._windows.append((last[0].detach(), last[0]._version, offset + self._timesteps(x)))
        # Whatever comes above this line is paid for at every update of the user's.
        if not due or not data_of(output).requires_grad:
            return
        layout = Layout.of(x, self.module.batch_first)
        plain = tuple(state.detach() for state in first)
        call = Call(
            self.module,
            layout,
            data_of(x).detach(),
            plain,
            # A copy, since the user may go on with it in place.
            data_of(output).detach().clone(),
            weights_of(self.module),
            self._random_state,
        )
        called = CalledOnce(call, offset)
        called.versions = [tensor._version for tensor in called.tensors()]
        self.calls.append(called)
        for name, tensor in zip(("output", "h", "c"), (data_of(output), *last), strict=False):
            on_gradient(tensor, functools.partial(self._arrived, called, name), self._guard)
        self._follow_weights(call)

    def _timesteps(self, x: Any) -> int:
        if isinstance(x, PackedSequence):
            return len(x.batch_sizes)
        return int(x.shape[1 if self.module.batch_first and x.dim() == 3 else 0])

    def _continues(self, first: tuple[Tensor, ...]) -> int:
        """How many timesteps of its sequence lie before a call, which begins with the last state of another call."""
        for last, version, timesteps in reversed(self._windows if first else ()):
            same = first[0].data_ptr() == last.data_ptr() and first[0].shape == last.shape
            # A state that was set to zero in place begins another sequence.
            if same and last._version == version:
                return timesteps
        return 0

    def _follow_weights(self, call: Call) -> None:
        for index, weights in enumerate(call.weights):
            if weights.hh.requires_grad and not any(weights.hh is followed for followed in self._followed):
                self._followed.append(weights.hh)
                self._handles.append(weights.hh.register_hook(self._guard(functools.partial(self._keep, index))))

    def _keep(self, index: int, gradient: Tensor) -> None:
        # A weight that was computed anew for another call (such as one with units dropped) has a gradient of its own.
        before = self.of_weights.get(index)
        self.of_weights[index] = gradient.detach().clone() if before is None else before + gradient.detach()

    def _arrived(self, called: CalledOnce, name: str, gradient: Tensor) -> None:
        self._began()
        called.arrived[name] = gradient

    def called(self) -> list[CalledOnce]:
        """The calls that the backward pass under way came back to. Raises UsageError where they were changed since."""
        arrived = [called for called in self.calls if called.arrived]
        for called in arrived:
            if called.number is None:
                called.number, self._numbers = self._numbers, self._numbers + 1
            if called.versions != [tensor._version for tensor in called.tensors()]:
                raise UsageError(
                    f"{self.name}: its input or its weights were changed in place before the backward pass"
                )
        return arrived

    def forget(self, *, update: bool) -> None:
        """Forget the backward pass that has ended, and with `update` also the calls of the update."""
        self.of_weights.clear()
        for called in self.calls:
            called.arrived = {}
        if update:
            self.calls.clear()
            self._numbers = 0
            for handle in self._handles:
                handle.remove()
            self._handles.clear()
            self._followed.clear()


def _taken(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any, tuple[Tensor, ...]]:
    x = arguments[0] if arguments else keywords["input"]
    return x, _states(arguments[1] if len(arguments) > 1 else keywords.get("hx"))


def _states(given: Any) -> tuple[Tensor, ...]:
    if given is None:
        return ()
    return tuple(given) if isinstance(given, tuple | list) else (given,)


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device


def _on_device(module: nn.Module) -> bool:
    return _device(module).type != "cpu"
